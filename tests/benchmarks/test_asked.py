"""What is asked of a fail-over, held against what was measured."""

from __future__ import annotations

import pytest

from benchmarks.asked import Answer, answers, table
from benchmarks.failover import markdown
from benchmarks.outcome import Gap, Kind, Outcome, Restored

S = 1_000_000_000
KILLED_AT = 10 * S


def outcome(kind: Kind, longest: float = 1.0, lost: int = 0, repeated: int = 0) -> Outcome:
    """A calm with waits of 100 ms, and one longer wait that begins when something is done."""
    calm = [Gap(at * S, at * S + S // 10) for at in range(9)]
    moments = [("before", 0, KILLED_AT), ("it ends", KILLED_AT, 30 * S)]
    gaps = [*calm, Gap(KILLED_AT, KILLED_AT + int(longest * S))]
    return Outcome(kind, kind, 10, lost, repeated, [], 5, gaps, moments)


def missed(found: list[Answer]) -> list[str]:
    return [each.asked for each in found if not each.good]


def test_all_that_is_asked_was_kept() -> None:
    """Runs of a killed owner wait at most ten seconds and may be called again; planned stops are hardly felt."""
    restores = [Restored("no files", 1000, 1003, 0.02, 3.0), Restored("files", 10, 13, 0.01, 3.0)]
    found = answers([outcome("kill", 9.9, repeated=3), outcome("stop", 2.05), outcome("rolling", 2.05)], restores)
    assert missed(found) == []
    assert table(found)[0] == "**Verdict: good.**"


@pytest.mark.parametrize("kind", ["kill", "stop", "rolling"])
def test_a_lost_run_is_a_miss_whatever_was_done(kind: Kind) -> None:
    """Nothing excuses it."""
    assert missed(answers([outcome(kind, lost=1)], [])) == ["no run is lost"]


@pytest.mark.parametrize("kind", ["stop", "rolling"])
def test_planned_stops_call_nothing_twice_and_are_hardly_felt(kind: Kind) -> None:
    """Two seconds above the calm before, and no call is repeated."""
    assert missed(answers([outcome(kind, repeated=1)], [])) == ["no call is repeated"]
    assert missed(answers([outcome(kind, 2.2)], [])) == ["p99 is at most 2 s above that before"]


def test_a_kill_is_judged_by_the_run_that_waits_longest() -> None:
    """One run that waits for longer than ten seconds is a miss, however many went on at once."""
    assert missed(answers([outcome("kill", 10.1)], [])) == ["the longest wait is at most 10 s"]


def test_an_audit_counts_only_when_it_has_seen_local_stores() -> None:
    """Findings are a miss, and so is to have looked at nothing."""
    found, blind = outcome("kill"), outcome("kill")
    found.findings, blind.stored_records = ["one end: run x: ended again"], 0
    assert missed(answers([found, blind], [])) == ["the audit finds nothing"] * 2


def test_what_was_not_measured_is_no_good_news() -> None:
    """A row without any wait, or a phase without runs."""
    empty = outcome("stop")
    empty.gaps, empty.runs = [], 0
    assert missed(answers([empty], [])) == ["no run is lost", "p99 is at most 2 s above that before"]


def test_a_restore_is_fast_and_reads_what_is_missing() -> None:
    """Fifty thousand records a second from nothing; with files no more than they lack."""
    slow = [Restored("no files", 100_000, 100_001, 2.5, 3.0), Restored("files", 10, 100_011, 1.0, 3.0)]
    assert missed(answers([], slow)) == ["at least 50,000 records/s", "reads only what is missing"]


def test_the_page_says_the_verdict_first() -> None:
    """A reader sees what was missed before any figure."""
    phases = [outcome("stop", repeated=2)]
    page = markdown(phases, [], answers(phases, []), "a command")
    assert "**Verdict: bad.** Missed: stop: no call is repeated." in page
    assert page.index("Verdict") < page.index("| machine |")
    assert "| stop | no call is repeated | 2 | **missed** |" in page
