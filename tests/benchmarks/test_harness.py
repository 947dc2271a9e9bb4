"""The whole benchmark against servers: one whose delays are known, and the real one with tiny numbers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from benchmarks.__main__ import main

from . import fake_server

ROOT = Path(__file__).parents[2]
TINY = "--saturate-runs 40 --warm-up-runs 10 --low-load-runs 30 --idle-seconds 1 --soak-rounds 2"
TINY += " --accept-batches 5 --accept-single 150 --accept-single-connections 8"


@pytest.fixture
def fake() -> Iterator[tuple[str, int]]:
    """URL and pid of a fake server."""
    command = [sys.executable, "-m", "tests.benchmarks.fake_server"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.kill()
        process.communicate()


def measured(report: dict[str, object], phase: str) -> dict[str, float]:
    phases = report["phases"]
    assert isinstance(phases, list)
    (found,) = (each for each in phases if each["name"].startswith(phase))
    return {figure["name"]: figure["value"] for figure in found["figures"]}


def test_known_delays_are_what_is_reported(fake: tuple[str, int], tmp_path: Path) -> None:
    """Waits of 400 ms before a run and 200 ms between steps are reported as that, and refusals as lost events."""
    url, pid = fake
    page, data = tmp_path / "report.md", tmp_path / "report.json"
    arguments = ["--server", url, "--pids", f"fake={pid}", "--report", str(page), "--json", str(data)]
    assert main([*arguments, *TINY.split()]) == 1, "refused events are a problem"
    report = orjson.loads(data.read_bytes())

    slow = measured(report, "low load three")
    first, between = fake_server.FIRST_CALL_MS, fake_server.BETWEEN_STEPS_MS
    # The upper bounds leave room for a machine that is busy with other tests, and none for mixing the two up.
    assert first <= slow["sent → first call p50"] < first + between
    assert between <= slow["step end → next step p50"] < first
    parts = slow["sent → first call p50"] + 3 * slow["step end → next step p50"]
    assert first + 3 * between <= slow["sent → run end p50"] < parts + first

    resumed = measured(report, "resume waiting runs")
    assert fake_server.RESUMED_MS <= resumed["resume sent → resumed call p50"] < first

    at_once = measured(report, "saturate one")
    assert 5 < at_once["runs"] <= 40 / ((first + between) / 1000)
    assert at_once["CPU a run"] > 0
    assert measured(report, "accept, batches")["accepted"] > 10

    (single,) = (phase for phase in report["phases"] if phase["name"].startswith("accept, one by one"))
    assert any("events got 429" in problem for problem in single["problems"])
    assert "events got 429" in page.read_text("utf-8")
    assert f"| {url} |" in page.read_text("utf-8")


def test_a_server_that_is_not_there_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback: the app's registration failed, and why."""
    assert main(["--server", "http://127.0.0.1:9", "--phases", "idle"]) == 1
    assert "cannot register" in capsys.readouterr().out


@pytest.mark.benchmark_smoke
@pytest.mark.timeout(240)
def test_the_real_server_is_measured_without_losing_a_run(tmp_path: Path) -> None:
    """`python -m benchmarks` starts its own server, and every event and run of every phase is accounted for."""
    data = tmp_path / "report.json"
    assert main(["--json", str(data), *TINY.split()]) == 0
    report = orjson.loads(data.read_bytes())
    assert measured(report, "saturate one")["runs"] > 0
    assert measured(report, "low load three")["step end → next step p50"] > 0
    names = set(report["phases"][0]["rss_mb"])
    assert {"broker", "ingest", "matcher", "executor", "history", "app"} <= names
