"""What runs wait for, against what is registered."""

from __future__ import annotations

from penstock.audit import local, waits
from penstock.messages.codec import Codec
from penstock.messages.ids import JobId, RunId
from penstock.messages.keys import wait_key
from penstock.messages.records import Wait

WAIT = Wait(RunId("01J00000000000000000000000"), JobId("wait/s"), "e", "data.x", "1", "true", "{}", 0, 9, 0, ())
KEY, VALUE = wait_key(WAIT).encode(), Codec().encode(WAIT)


def folded(*records: tuple[bytes, bytes | None]) -> waits.WaitsAudit:
    audit = waits.WaitsAudit(Codec())
    for key, value in records:
        audit.take(key, value)
    return audit


def test_the_topic_is_folded_by_key() -> None:
    """A tombstone removes."""
    assert folded((KEY, VALUE)).registered == {KEY.decode()}
    gone = folded((KEY, VALUE), (KEY, None))
    assert (gone.registered, gone.folded) == (set(), {})


def test_what_is_no_wait_is_unreadable_and_nobodys_registration() -> None:
    """Until it is removed, or a wait lies under its key."""
    topic = folded((KEY, VALUE), (b"\xff/odd", b"junk"), (b"ab/r/j", VALUE))
    assert topic.registered == {KEY.decode()}
    found = [(finding.rule, finding.about) for finding in topic.unreadable(2).kept]
    assert sorted(found) == [("decodable", r"waits/2, b'\xff/odd'"), ("decodable", "waits/2, b'ab/r/j'")]
    assert folded((b"\xff/odd", b"junk"), (b"\xff/odd", None), (KEY, b"junk"), (KEY, VALUE)).unreadable(2).clean


def test_a_table_that_differs_from_the_topic_is_found() -> None:
    """But for what is no wait: whether a table has taken that is undecided."""
    topic = folded((KEY, VALUE), (b"zz/odd", b"junk"))
    for odd in ([], [(b"zz/odd", b"junk")]):
        assert against(topic, [(KEY, VALUE), *odd]) == []
    assert against(topic, []) == against(topic, [(KEY, b"other")]) == ["waits are the fold"]
    assert against(topic, [(KEY, VALUE), (b"ab/r/j", VALUE)]) == ["waits are the fold"]


def against(topic: waits.WaitsAudit, stored: list[tuple[bytes, bytes]]) -> list[str]:
    found = local.compare(0, topic.folded, stored, "waits are the fold", topic.undecided)
    return [finding.rule for finding in found.kept]


def test_waits_and_registrations_agree() -> None:
    """One for one."""
    found = waits.compare({"k1": "run/wait/a"}, {"k1"})
    assert found.clean
    assert found.checked["waits"] == 1


def test_a_wait_that_nobody_looks_for_is_found() -> None:
    """Its event would never reach the run."""
    (finding,) = waits.compare({"k1": "run/wait/a"}, set()).kept
    assert (finding.rule, finding.about) == ("every wait is registered", "run/wait/a")


def test_a_registration_without_a_run_is_found() -> None:
    """It would be looked at for every event, for nothing."""
    (finding,) = waits.compare({}, {"k1"}).kept
    assert finding.rule == "no wait outlives its run"
