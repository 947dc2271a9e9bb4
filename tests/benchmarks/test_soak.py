"""What the soak measures, and its report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.rest import AtRest, compare
from benchmarks.soak import BOUNDS, SAMPLE_SECONDS, Ending, Samples, Sender, of_disk, report
from penstock.audit.findings import Findings


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
    assert report(samples(), sender(), 40, 3, ending())[1]
    lines, good = report(samples(lag=[100.0 * n for n in range(40)]), sender(), 40, 3, ending())
    assert not good
    assert any("lag of x" in line and "**grows**" in line for line in lines)
    assert "**Verdict: bad.** grows: lag of x." in lines
    lines, good = report(samples(), sender(), 40, 3, ending(lost=7))
    assert not good
    assert "**Verdict: bad.** 7 runs did not end." in lines


@pytest.mark.parametrize("name", BOUNDS)
def test_whatever_has_a_bound_must_have_been_measured(name: str) -> None:
    """A thing that is not there, or only a few times, is no good news."""
    without = {each: points for each, points in samples().items() if not each.startswith(name)}
    lines, good = report(without, sender(), 40, 20, ending())
    assert not good
    assert f"{name}: not measured" in lines[2]
    seldom = {each: points[:6] if each.startswith(name) else points for each, points in samples().items()}
    lines, good = report(seldom, sender(), 40, 20, ending())
    assert not good
    assert "measured only 6 times" in lines[2]


def test_retention_must_have_cleared_something_away_when_there_was_time() -> None:
    """In twenty minutes without a fall of anything on disk nothing is known of retention; in three that is normal."""
    steady = samples(disk=[10.0] * 40)
    assert report(steady, sender(), 40, 3, ending())[1]
    lines, good = report(steady, sender(), 40, 20, ending())
    assert not good
    assert "retention has cleared nothing away" in lines[2]
    assert report(samples(), sender(), 40, 20, ending())[1]


def test_what_is_left_when_nothing_runs_is_a_leak_and_what_follows_the_runs_is_none() -> None:
    """Connections may rise under load as they like, if they are gone afterwards."""
    busy = samples() | {"connections of executor": points([4.0 * n for n in range(40)])}
    assert report(busy, sender(), 40, 20, ending())[1]
    lines, good = report(busy, sender(), 40, 20, ending(left=at_rest(connections=30.0)))
    assert not good
    assert "left: connections of executor" in lines[2]
    lines, good = report(busy, sender(), 40, 20, ending(left=at_rest()[1:]))
    assert not good
    assert "connections after the load: not measured" in lines[2]


def test_a_breach_and_an_audit_of_nothing_are_told() -> None:
    """An audit that has looked at no local store has shown nothing about them."""
    audited = clean()
    audited.add("one end", "run x", "ended again")
    lines, good = report(samples(), sender(), 40, 20, ending(audited=audited))
    assert not good
    assert "audit, one end: 1, the first: one end: run x: ended again" in lines[2]
    lines, good = report(samples(), sender(), 40, 20, ending(audited=Findings()))
    assert not good
    assert "the audit has looked at no stored records" in lines[2]


SAWTOOTH = [float(n % 10) for n in range(40)]


def points(values: list[float]) -> list[tuple[float, float]]:
    return [(number * SAMPLE_SECONDS, value) for number, value in enumerate(values)]


def samples(lag: list[float] | None = None, disk: list[float] | None = None) -> Samples:
    """One flat series for each bound."""
    names = {name: f"{name} of x" for name in BOUNDS} | {"files of broker": "files of broker"}
    flat = {
        of: points(disk or SAWTOOTH if BOUNDS[name][1] == "sawtooth" else [10.0] * 40) for name, of in names.items()
    }
    return flat | {"lag of x": points(lag or [10.0] * 40)}


def sender() -> Sender:
    return Sender("http://127.0.0.1:1", 40, 0, accepted=1000)


def at_rest(connections: float = 3.0) -> tuple[AtRest, ...]:
    before = {"connections of executor": 3.0, "files of executor": 9.0, "memory of x": 9.0, "threads of x": 9.0}
    return tuple(compare(before, {}, before | {"connections of executor": connections}))


def clean() -> Findings:
    return Findings(checked=Counter({"changelog records": 9, "starts": 3, "stored records": 5}))


def ending(lost: int = 0, left: tuple[AtRest, ...] | None = None, audited: Findings | None = None) -> Ending:
    found = at_rest() if left is None else left
    return Ending(lost, (), found, clean() if audited is None else audited)
