"""What nobody has come to is found when it has lain there for too long, and only then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from penstock.audit.backlog import Backlog
from penstock.audit.changelog import LATE_MS
from penstock.audit.findings import Finding, Rule

NOW = 1_700_000_000_000
OLD = NOW - LATE_MS - 1


def found(records: Sequence[tuple[int, int]], taken: int, rule: Rule = "every event is taken") -> list[Finding]:
    backlog = Backlog(rule, "events", 2, taken, NOW)
    assert [backlog.take(*record) for record in records] == [offset < taken for offset, _ in records]
    return backlog.findings().kept


@pytest.mark.parametrize("rule", ["every event is taken", "every command is taken"])
def test_a_record_that_nobody_comes_to_is_found(rule: Rule) -> None:
    """Once a partition, by the first that waits; also when its reader has never acknowledged anything."""
    (finding,) = found([(0, OLD - 5000), (3, OLD), (4, NOW)], 0, rule)
    assert (finding.rule, finding.about) == (rule, "events/2@0")
    assert finding.message == "has lain there for 125 s and nobody has come to it, nor to 1 behind it"
    assert [finding.about for finding in found([(0, OLD), (3, OLD)], 1, rule)] == ["events/2@3"]


def test_what_was_taken_or_has_just_come_is_no_finding() -> None:
    """Old records that are done with, and new ones that are in a queue."""
    assert found([(0, OLD), (1, OLD)], 2) == []
    assert found([(0, OLD), (1, NOW - LATE_MS), (2, NOW)], 1) == []
    assert found([], 0) == []
