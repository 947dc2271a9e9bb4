"""The audit of one partition's changelog: it finds what breaks a rule, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from penstock.audit.changelog import LATE_CALL_MS, LATE_MS, ChangelogAudit
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, JobId, RunId, StepId
from penstock.messages.records import (
    EventDeduplicated,
    JobScheduled,
    OffsetApplied,
    Record,
    RunEnded,
    RunStarted,
    StartRun,
    StepFinished,
)

CODEC = Codec()
T0 = 1_700_000_000_000
RUN = RunId("01J00000000000000000000000")
JOB = JobId("discover/start")

STARTED = RunStarted(RUN, FunctionKey("a/f"), 1, ("{}",), ("e",), 5, T0, T0)
STEP = StepFinished(RUN, StepId("s"), 0, "StepRun", "s", "1", T0, T0)
ENDED = RunEnded(RUN, "Completed", "1", T0, T0 + 9)


def call(due_at: int = T0) -> JobScheduled:
    return JobScheduled(RUN, JOB, "call", StepId("step"), due_at, T0)


def sleep(due_at: int, wait_key: str = "") -> JobScheduled:
    return JobScheduled(RUN, JobId("sleep/s"), "sleep", StepId("s"), due_at, T0, wait_key=wait_key)


Entry = tuple[bytes, Record | None]
START: Entry = (keys.run_key(RUN), STARTED)
WORK: Entry = (keys.job_key(RUN, JOB), call())
RESULT: Entry = (keys.step_key(RUN, StepId("s")), STEP)
DONE: Entry = (keys.job_key(RUN, JOB), None)
END: Entry = (keys.end_key(RUN), ENDED)


def audited(entries: Sequence[Entry], now: int = T0) -> ChangelogAudit:
    audit = ChangelogAudit(0, CODEC)
    for offset, (key, record) in enumerate(entries):
        audit.take(offset, key, None if record is None else CODEC.encode(record))
    audit.finish(now)
    return audit


def rules(entries: Sequence[Entry], now: int = T0) -> list[str]:
    return [finding.rule for finding in audited(entries, now).findings.kept]


def test_a_run_that_begins_works_and_ends_is_clean() -> None:
    """And counted, so that a clean audit of nothing can be told from it."""
    audit = audited([START, WORK, RESULT, DONE, END])
    assert audit.findings.clean
    assert audit.findings.checked["ended runs"] == audit.findings.checked["steps"] == 1


def test_a_purged_run_leaves_nothing_to_complain_about() -> None:
    """Its tombstones come behind its end, and a run of the same id may begin anew."""
    purge: list[Entry] = [(key, None) for key, _ in (RESULT, START, END)]
    audit = audited([START, WORK, RESULT, DONE, END, *purge])
    assert audit.findings.clean
    assert (audit.purged, audit.started, audit.folded) == ({RUN}, set(), {})
    assert rules([START, WORK, RESULT, DONE, END, *purge, START, WORK]) == []


def test_two_starts_two_ends_and_two_results_are_found() -> None:
    """Each must be written once."""
    assert rules([START, START, WORK]) == ["one start"]
    assert rules([START, WORK, RESULT, RESULT]) == ["one result a step"]
    assert "one end" in rules([START, END, END])


def test_what_comes_behind_the_end_is_found() -> None:
    """A result of a call that was in flight must be discarded; no work may be left."""
    assert rules([START, WORK, DONE, END, RESULT]) == ["nothing after the end"]
    assert rules([START, WORK, END]) == ["nothing after the end"]


def test_a_run_without_work_is_stuck() -> None:
    """What may cancel a run does not bring it forward."""
    assert rules([START]) == ["alive"]
    cancel = JobScheduled(RUN, JobId("cancel/0"), "cancel", StepId(""), T0 + 9, T0)
    assert rules([START, (keys.job_key(RUN, JobId("cancel/0")), cancel)]) == ["alive"]


def test_a_timer_that_nobody_takes_is_found() -> None:
    """A sleep that is over by minutes; a call may be under way for long."""
    key = keys.job_key(RUN, JobId("sleep/s"))
    assert rules([START, (key, sleep(T0))], T0 + LATE_MS) == []
    assert rules([START, (key, sleep(T0))], T0 + LATE_MS + 1) == ["on time"]
    assert rules([START, WORK], T0 + 100 * LATE_MS) == []


def test_a_call_that_is_due_for_a_day_is_found() -> None:
    """None takes as long, and an app that is away is given up before."""
    assert rules([START, WORK], T0 + LATE_CALL_MS) == []
    assert rules([START, WORK], T0 + LATE_CALL_MS + 1) == ["on time"]


def test_a_start_that_was_taken_has_left_its_run_or_another_for_the_same_event() -> None:
    """A command with an event's own id is no excuse by itself."""
    plain = StartRun(RUN, FunctionKey("a/f"), ("{}",), ("e",), T0)
    own_id = replace(plain, dedupe_key="e")
    mark = keys.dedupe_key(FunctionKey("a/f"), "e")
    by_another: Entry = (mark, EventDeduplicated(FunctionKey("a/f"), "e", RunId("other"), T0))
    assert not audited([]).knows(plain)
    assert not audited([by_another]).knows(plain)
    assert not audited([]).knows(own_id)
    assert audited([START]).knows(plain)
    assert audited([by_another]).knows(own_id)
    assert audited([by_another, (mark, None)]).knows(own_id)


def test_an_applied_offset_never_goes_back() -> None:
    """An owner that was fenced and wrote nevertheless would write the offset that it knew."""
    offsets: list[Entry] = [(keys.OFFSET, OffsetApplied(n)) for n in (3, 7, 7, 5)]
    assert rules(offsets[:3]) == []
    assert rules(offsets) == ["one owner"]
    anew: list[Entry] = [(keys.OFFSET, OffsetApplied(n, topic)) for n, topic in ((7, "one"), (2, "two"), (1, "two"))]
    assert rules(anew[:2]) == [], "of a topic that was made anew"
    assert rules(anew) == ["one owner"]


def test_an_owner_that_writes_behind_its_successor_is_found() -> None:
    """Each owning signs its commits; what is signed by an earlier one must not come again."""
    signed = [(b"one", 0), (None, 1), (b"two", 2), (b"two", 3), (b"three", 4)]
    assert [finding.rule for finding in signed_by(signed).findings.kept] == []
    found = signed_by([*signed, (b"two", 5), (b"three", 6)]).findings.kept
    assert [(finding.rule, finding.about) for finding in found] == [("one owner", f"run-state/0@{n}") for n in (5, 6)]


def signed_by(signed: Sequence[tuple[bytes | None, int]]) -> ChangelogAudit:
    audit = ChangelogAudit(0, CODEC)
    for owner, offset in signed:
        audit.take(offset, keys.OFFSET, CODEC.encode(OffsetApplied(offset)), owner)
    return audit


def test_work_of_no_run_is_found() -> None:
    """A job, a result or an end without a start would never be purged."""
    assert rules([WORK]) == rules([RESULT]) == rules([END]) == ["nothing without a run"]
    assert rules([WORK, (keys.run_key(RUN), None), (keys.job_key(RUN, JOB), None)]) == []


def test_without_a_store_values_are_not_kept() -> None:
    """What is only counted costs no memory for every key."""
    audit = ChangelogAudit(0, CODEC, folding=False)
    audit.take(0, keys.run_key(RUN), CODEC.encode(STARTED))
    assert audit.folded == {}
    assert audit.started == {RUN}


def test_waits_of_live_jobs_are_named() -> None:
    """For the comparison with the waits topic."""
    key = keys.job_key(RUN, JobId("sleep/s"))
    audit = audited([START, (key, sleep(T0, "ab/c"))])
    assert audit.wait_keys() == {"ab/c": f"{RUN}/sleep/s"}
    assert audited([START, (key, sleep(T0, "ab/c")), (key, None), END]).wait_keys() == {}


def test_what_cannot_be_decoded_is_found() -> None:
    """It would make a restore fail."""
    audit = ChangelogAudit(0, CODEC)
    audit.take(0, keys.run_key(RUN), b"junk")
    assert [finding.rule for finding in audit.findings.kept] == ["decodable"]


@pytest.mark.parametrize(
    "key", [b"job", b"run/", b"job/x", b"job//x", b"step/\xff/x", b"step/x", b"end/x/y", keys.OFFSET, keys.end_key(RUN)]
)
def test_poison_is_found_and_what_lies_around_it_is_judged(key: bytes) -> None:
    """Keys that name no run, and values that are none: told by their place, and no reason to stop."""
    audit = ChangelogAudit(3, CODEC)
    audit.take(0, keys.run_key(RUN), CODEC.encode(STARTED))
    audit.take(1, key, b"x")
    audit.take(2, keys.run_key(RUN), CODEC.encode(STARTED))
    found = [(finding.rule, finding.about) for finding in audit.findings.kept]
    assert found == [("decodable", "run-state/3@1"), ("one start", RUN)]


def test_removing_poison_is_no_poison() -> None:
    """A tombstone under a key that names no run is how the record is got rid of."""
    audit = ChangelogAudit(0, CODEC)
    for offset, key in enumerate((b"job", b"step/\xff/x", keys.OFFSET, b"dedupe", b"")):
        audit.take(offset, key, None)
    assert audit.findings.clean


def test_keys_that_stores_keep_for_themselves_are_none_of_the_fold() -> None:
    """A store takes no such record from the changelog, so it is not missed there."""
    audit = ChangelogAudit(0, CODEC)
    for offset, key in enumerate((b"", b"\0", b"\0t\xff", b"\x01")):
        audit.take(offset, key, b"x")
    assert list(audit.folded) == [b"\x01"]
