"""What the soak measures, and its report."""

from __future__ import annotations

from pathlib import Path

from benchmarks.soak import SAMPLE_SECONDS, Samples, Sender, of_disk, report


def test_sizes_on_disk_are_told_apart_by_whose_they_are(tmp_path: Path) -> None:
    """All partitions of a topic are one series; what is nobody's data counts for none."""
    for name in (
        "kafka/data/penstock.run-steps-0/0.log",
        "kafka/data/penstock.run-steps-1/0.log",
        "kafka/data/meta.properties",
        "state/penstock/partition-0/000001.sst",
        "waits/penstock/partition-0/000004.log",
        "history.sqlite3-wal",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * (1 << 20))
    sizes = {name: round(value) for name, value in of_disk(tmp_path)}
    assert sizes == {
        "topic penstock.run-steps": 2,
        "state on disk": 1,
        "waits on disk": 1,
        "history on disk": 1,
        "state files (SST)": 1,
    }


def test_a_report_is_good_only_when_nothing_grows_and_nothing_was_lost() -> None:
    """A lag that rises is growth; a run that did not end is told even when all is flat."""
    sender = Sender("http://127.0.0.1:1", 40, 0, accepted=1000)
    assert report(samples("lag of x", [10.0] * 40), sender, 40, 3, 0, [])[1]
    lines, good = report(samples("lag of x", [100.0 * n for n in range(40)]), sender, 40, 3, 0, [])
    assert not good
    assert any("lag of x" in line and "**grows**" in line for line in lines)
    lines, good = report(samples("lag of x", [10.0] * 40), sender, 40, 3, 7, [])
    assert not good
    assert "**7 runs did not end**" in lines


def samples(name: str, values: list[float]) -> Samples:
    return {name: [(number * SAMPLE_SECONDS, value) for number, value in enumerate(values)]}
