"""Records folded into rows."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from penstock.errors import Unavailable
from penstock.history.plain_text import MAX_KEY_CHARACTERS, bounded_key, plain
from penstock.history.rows import END_NOT_SEEN, RowFolder, Rows
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import DISCOVERY, FunctionKey, JobId, RunId, StepId
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import (
    App,
    DeadLetter,
    Event,
    Function,
    JobScheduled,
    Record,
    RunEnded,
    RunProgressed,
    RunStarted,
    StepFinished,
)

CODEC = Codec()
FOLDER = RowFolder(CODEC, IncomingEvents(CODEC))
RUN = RunId("01HF7YAT00KHTH0Q4KBJ419Z3M")
EVENT = "01HF7YAT00000000000000000A"
NOW = 1_700_000_000_000
JOB = JobId("discover/start")
STARTED = RunStarted(RUN, FunctionKey("app/f"), 3, ("{}", "{}"), (EVENT, "second"), 5, NOW, NOW + 1)
SCHEDULED = JobScheduled(RUN, JOB, "call", DISCOVERY, NOW, NOW)
ENDED = RunEnded(RUN, "Failed", '{"message":"no"}', NOW + 9, NOW + 99)


def folded(*records: tuple[bytes, Record | None]) -> Rows:
    rows = Rows()
    for key, record in records:
        FOLDER.add_state(rows, key, None if record is None else CODEC.encode(record))
    return FOLDER.settle(rows)


def is_empty(rows: Rows) -> bool:
    return not any(getattr(rows, name) for name in vars(Rows()))


def test_a_start_names_the_run_its_function_and_events() -> None:
    """One row of the run and one for each of its events, in their order."""
    rows = folded((keys.run_key(RUN), STARTED))
    assert rows.started[RUN] == {
        "run_id": RUN,
        "function": "app/f",
        "function_version": 3,
        "received_at": NOW,
        "started_at": NOW + 1,
        "max_attempts": 5,
        "parent_run": "",
        "parent_job": "",
        "correlation_id": "",
        "cron": "",
        "rerun_of": "",
        "replay": "",
        "event_count": 2,
    }
    assert [(row["event_internal_id"], row["position"]) for row in rows.run_events.values()] == [
        (EVENT, 0),
        ("second", 1),
    ]


def test_an_end_has_status_and_output_together() -> None:
    """They are columns of one row, so that no reader sees one without the other."""
    rows = folded((keys.end_key(RUN), ENDED))
    assert rows.ended == {RUN: {"run_id": RUN, "status": "Failed", "output": '{"message":"no"}', "ended_at": NOW + 9}}


def test_a_step_is_remembered_once() -> None:
    """The first result stays."""
    step = StepFinished(RUN, StepId("ab"), 0, "StepRun", "one", '{"data":1}', NOW, NOW + 5)
    again = StepFinished(RUN, StepId("ab"), 4, "StepRun", "other", "{}", NOW, NOW)
    rows = folded((keys.step_key(RUN, step.step_id), step), (keys.step_key(RUN, step.step_id), again))
    assert [(row["name"], row["position"], row["output"]) for row in rows.steps.values()] == [("one", 0, '{"data":1}')]


def test_a_job_is_what_it_was_last() -> None:
    """A retry replaces the attempt before it."""
    retry = JobScheduled(RUN, JOB, "call", DISCOVERY, NOW + 9, NOW, attempt=1, last_error='{"name":"E"}')
    rows = folded((keys.job_key(RUN, JOB), SCHEDULED), (keys.job_key(RUN, JOB), retry))
    assert [(row["attempt"], row["due_at"], row["last_error"]) for row in rows.jobs.values()] == [
        (1, NOW + 9, '{"name":"E"}')
    ]


def test_a_tombstone_of_a_job_removes_it() -> None:
    """From the batch, and from the database; scheduled again, it is there again."""
    key = keys.job_key(RUN, JOB)
    rows = folded((key, SCHEDULED), (key, None))
    assert (rows.jobs, rows.done_jobs) == ({}, {(RUN, JOB)})
    rows = folded((key, None), (key, SCHEDULED))
    assert (list(rows.jobs), rows.done_jobs) == ([(RUN, JOB)], set())


def test_a_job_of_a_run_that_began_here_needs_no_removal() -> None:
    """It never came into the database, which is the usual case of a short run."""
    rows = folded((keys.run_key(RUN), STARTED), (keys.job_key(RUN, JOB), SCHEDULED), (keys.job_key(RUN, JOB), None))
    assert (rows.jobs, rows.done_jobs) == ({}, set())


@pytest.mark.parametrize("key", [keys.run_key(RUN), keys.step_key(RUN, StepId("a")), keys.OFFSET, None, b"", b"x/y"])
def test_what_the_owner_forgets_history_keeps(key: bytes | None) -> None:
    """Other tombstones say that the run's state is purged, not that it never happened."""
    rows = Rows()
    FOLDER.add_state(rows, key, None)
    assert is_empty(rows)


def test_a_tombstone_of_an_end_says_that_the_run_is_over() -> None:
    """Since when is not known better than by the tombstone; a run that begins anew behind it is not over."""
    rows = Rows()
    FOLDER.add_state(rows, keys.end_key(RUN), None, NOW + 7)
    not_seen = {"run": RUN, "at_status": "Unknown", "at_output": END_NOT_SEEN, "at_ended_at": NOW + 7}
    assert rows.purged == {RUN: not_seen}
    FOLDER.add_state(rows, keys.run_key(RUN), CODEC.encode(STARTED), NOW + 8)
    assert rows.purged == {}


def test_what_is_not_shown_is_not_decoded() -> None:
    """Progress, marks of deduplication and offsets are passed over, whatever their bytes."""
    rows = folded((keys.progress_key(RUN), RunProgressed(RUN, 1, False, ())))
    FOLDER.add_state(rows, keys.OFFSET, b"\xff")
    FOLDER.add_state(rows, keys.dedupe_key(FunctionKey("f"), "e"), b"\xff")
    assert is_empty(rows)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (keys.run_key(RUN), b"\xff"),
        (keys.run_key(RUN), CODEC.encode(ENDED)),
        (keys.job_key(RUN, JOB), CODEC.encode(ENDED)),
        (b"job/short", CODEC.encode(SCHEDULED)),
        (b"job/\xff/x", CODEC.encode(SCHEDULED)),
        (b"job/short", None),
    ],
)
def test_a_broken_record_is_passed_over(key: bytes, value: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and does not hold up those behind it."""
    rows = Rows()
    with caplog.at_level(logging.ERROR):
        FOLDER.add_state(rows, key, value)
        FOLDER.settle(rows)
    assert is_empty(rows)
    assert "is passed over" in caplog.text


def test_an_event_is_kept_with_its_place() -> None:
    """Topic, partition and offset lead back to the record."""
    rows = Rows()
    event = Event("a", '{"n":1}', "id", NOW, '{"u":1}', "v", EVENT, NOW, "http")
    for offset in (7, 9):
        FOLDER.add_event(rows, Arrival("events", 2, offset, NOW, CODEC.encode(event)), internal=False)
    row = rows.events[EVENT]
    assert (row["id"], row["data"], row["user"], row["v"], row["source"]) == ("id", '{"n":1}', '{"u":1}', "v", "http")
    assert (row["topic"], row["partition"], row["offset"]) == ("events", 2, 7)


def test_what_is_no_event_is_the_matchers_to_report() -> None:
    """An undecodable record makes no row and no noise."""
    rows = Rows()
    FOLDER.add_event(rows, Arrival("events", 0, 0, NOW, b"\xff"), internal=False)
    FOLDER.add_event(rows, Arrival("events", 0, 0, NOW, b'{"name":"inngest/x"}'), internal=False)
    assert is_empty(rows)
    FOLDER.add_event(rows, Arrival("events", 0, 0, NOW, b'{"name":"inngest/x"}'), internal=True)
    assert len(rows.events) == 1


def test_a_registry_that_is_away_holds_the_batch() -> None:
    """The record is not broken: the batch is read again later."""

    class Away:
        def schema(self, schema_id: int) -> None:
            raise Unavailable("away")

    folder = RowFolder(CODEC, IncomingEvents(CODEC, Away()))
    with pytest.raises(Unavailable):
        folder.add_event(Rows(), Arrival("events", 0, 0, NOW, b"\0\0\0\0\1x"), internal=False)


def test_texts_fit_any_database() -> None:
    """No NUL characters; keys are bounded and still differ."""
    assert plain("a\0b") == "a\ufffdb"
    one, other = "x" * (MAX_KEY_CHARACTERS + 1), "x" * (MAX_KEY_CHARACTERS + 2)
    assert bounded_key("short") == "short"
    assert bounded_key(one) != bounded_key(other)
    assert len(bounded_key(one)) <= MAX_KEY_CHARACTERS


def test_an_attempt_that_was_tried_again_keeps_its_error() -> None:
    """Also of a job that is done within the batch; the next attempt says when it failed."""
    key = keys.job_key(RUN, JOB)
    retry = JobScheduled(RUN, JOB, "call", DISCOVERY, NOW + 50, NOW + 20, attempt=1, last_error='{"message":"no"}')
    rows = folded((key, SCHEDULED), (key, retry), (key, None))
    assert rows.jobs == {}
    (row,) = rows.attempts.values()
    assert (row["job_id"], row["attempt"], row["error"]) == (JOB, 0, '{"message":"no"}')
    assert (row["ended_at"], row["next_at"]) == (NOW + 20, NOW + 50)


def test_an_error_that_is_a_bare_text_is_kept_too() -> None:
    """Whatever JSON the app answered with."""
    retry = JobScheduled(RUN, JOB, "call", DISCOVERY, NOW, NOW, attempt=1, last_error='"boom"')
    rows = folded((keys.job_key(RUN, JOB), retry))
    assert [row["error"] for row in rows.attempts.values()] == ['"boom"']


def test_a_run_concerns_the_users_of_its_events() -> None:
    """By every name that they give."""
    events = ('{"name":"a","user":{"id":1,"email":"a@b.c"}}', '{"name":"a","user":{}}')
    rows = folded((keys.run_key(RUN), replace(STARTED, events=events)))
    assert sorted(rows.run_users) == [("1", RUN), ("a@b.c", RUN)]
    assert rows.events == {}


@pytest.mark.parametrize("origin", [{"cron": "* * * * *"}, {"parent_run": RUN}, {"rerun_of": RUN}, {"replay": RUN}])
def test_events_that_may_be_on_no_topic_are_taken_from_the_run(origin: dict[str, str]) -> None:
    """So that people can look at what started it."""
    text = '{"id":"p-1","name":"shop/paid","data":{"n":1},"user":{"id":7},"ts":5,"v":"2"}'
    started = replace(STARTED, events=(text,), event_ids=(EVENT,), **origin)
    rows = folded((keys.run_key(RUN), started))
    row = rows.events[EVENT]
    assert (row["id"], row["name"], row["data"], row["user"]) == ("p-1", "shop/paid", '{"n":1}', '{"id":7}')
    assert (row["ts"], row["v"], row["source"], row["offset"], row["received_at"]) == (5, "2", "run", -1, NOW)
    assert list(rows.event_users) == [("7", EVENT)]


def test_functions_and_apps_as_they_were_last_registered() -> None:
    """Each version by itself; what else lies on their topic is passed over."""
    rows = Rows()
    for version in (1, 2):
        record = Function(FunctionKey("shop/pay"), "shop", "pay", "Pay", version, "{}", NOW + version)
        FOLDER.add_function(rows, CODEC.encode(record))
    FOLDER.add_function(rows, CODEC.encode(App("shop", "http://127.0.0.1", "c", NOW, error="away")))
    FOLDER.add_function(rows, CODEC.encode(ENDED))
    FOLDER.add_function(rows, None)
    assert (rows.functions["shop/pay"]["version"], rows.functions["shop/pay"]["name"]) == (2, "Pay")
    assert sorted(rows.function_versions) == [("shop/pay", 1), ("shop/pay", 2)]
    assert rows.apps["shop"]["error"] == "away"


def test_a_dead_letter_has_an_id_of_where_it_lay() -> None:
    """Written twice, it is there once; bytes and headers stay as they were."""
    rows = Rows()
    for seen_at in (NOW, NOW + 1):
        letter = DeadLetter("events", 1, 7, NOW, b"k", b"\xff", "no JSON", seen_at, {"h": b"\0"})
        FOLDER.add_dead_letter(rows, CODEC.encode(letter))
    ((letter_id, row),) = rows.dead_letters.items()
    assert len(letter_id) == 26
    assert (row["key"], row["value"], row["headers"], row["reason"]) == (b"k", b"\xff", '{"h":"AA=="}', "no JSON")


def test_what_is_no_record_of_theirs_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and does not hold up those behind it."""
    rows = Rows()
    with caplog.at_level(logging.ERROR):
        FOLDER.add_function(rows, b"\xff")
        FOLDER.add_dead_letter(rows, b"\xff")
        FOLDER.add_dead_letter(rows, None)
    assert is_empty(rows)
    assert caplog.text.count("is passed over") == 3
