"""Messages become records on the topics and partitions of whoever acts on them."""

from __future__ import annotations

from penstock.executor.outgoing import Outbox
from penstock.executor.shapes import KnownShapes
from penstock.functions.table import FunctionTable
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, JobId, RunId, run_id, run_partition, signal_partition
from penstock.messages.incoming import REGISTRY_HEADER
from penstock.messages.keys import correlation_partition, shape_key, wait_key
from penstock.messages.records import (
    ClaimSignal,
    Event,
    InvokedRunEnded,
    RunEnded,
    RunStarted,
    StartRun,
    Wait,
    WaitShape,
)
from penstock.messages.topics import Topics
from penstock.runs.effects import EndAnnounced, WaitOver
from penstock.runs.run import Run

CODEC = Codec()
TOPICS = Topics(run_partitions=8, wait_partitions=16)
NOW = 1_700_000_000_000
FN = FunctionKey("app/app-fn")
RUN = run_id(FN, "e1", NOW)


def outbox(*wanted: str) -> Outbox:
    table = FunctionTable()
    table.offset = 42
    return Outbox(TOPICS, CODEC, table, KnownShapes(), lambda event: event in wanted)


def wait(job: str = "wait/s", until: int = NOW + 1000) -> Wait:
    return Wait(RUN, JobId(job), "e", "data.x", "1", "", "{}", NOW, until, NOW, ())


def test_commands_go_to_the_owner_of_the_run() -> None:
    """With the functions that the sender has seen, for a start."""
    start = StartRun(RUN, FN, ("{}",), ("e1",), NOW)
    ended = InvokedRunEnded(RUN, JobId("invoke/s"), RUN, "Completed", "1")
    records = outbox().records([start, ended], NOW)
    assert [(r.topic, r.partition) for r in records] == [(TOPICS.run_steps, run_partition(RUN, 8))] * 2
    assert CODEC.decode_as(StartRun, records[0].value or b"").registry_offset == 42
    assert CODEC.decode(records[1].value or b"") == ended


def test_claims_go_to_the_owner_of_the_signal() -> None:
    """Whoever waits for one signal asks one owner."""
    (record,) = outbox().records([ClaimSignal("s", RUN, JobId("signal/x"), False, NOW)], NOW)
    assert (record.topic, record.partition) == (TOPICS.run_steps, signal_partition("s", 8))


def test_a_wait_brings_its_shape_once() -> None:
    """Before the wait itself; not again when that is committed."""
    out = outbox()
    shape, first, second = out.records([wait(), wait("wait/t", NOW + 900_000_000)], NOW)
    assert (shape.topic, shape.key, shape.partition) == (TOPICS.wait_shapes, shape_key("e", "data.x"), 0)
    assert CODEC.decode_as(WaitShape, shape.value or b"").until >= NOW + 900_000_000
    key = wait_key(wait())
    assert (first.topic, first.key, first.partition) == (TOPICS.waits, key.encode(), correlation_partition(key, 16))
    assert CODEC.decode(first.value or b"") == wait()
    assert len(out.records([wait()], NOW)) == 2, "what was not committed is not known to be on the topic"
    out.committed([shape, first, second])
    assert [record.topic for record in out.records([wait()], NOW)] == [TOPICS.waits]


def test_the_end_of_a_wait_is_a_tombstone_in_its_place() -> None:
    """The same key and partition as the wait."""
    out = outbox()
    *_, registered = out.records([wait()], NOW)
    (over,) = out.records([WaitOver(wait_key(wait()))], NOW)
    assert (over.topic, over.key, over.partition) == (registered.topic, registered.key, registered.partition)
    assert over.value is None


def ended(status: str) -> EndAnnounced:
    started = RunStarted(RunId(RUN), FN, 1, ('{"name":"e"}',), ("e1",), 5, NOW, NOW)
    end = RunEnded(RunId(RUN), status, '{"name":"E","message":"m"}', NOW + 5, NOW + 9)  # type: ignore[arg-type]
    return EndAnnounced(Run(started, ended=end))


def test_an_end_is_told_to_those_who_want_it() -> None:
    """A completed run costs no event when nobody is triggered by one or waits for one."""
    assert outbox().records([ended("Completed")], NOW) == []
    (record,) = outbox("inngest/function.finished").records([ended("Completed")], NOW)
    assert record.topic == TOPICS.internal_events
    assert record.headers == ((REGISTRY_HEADER, b"42"),)
    assert CODEC.decode_as(Event, record.value or b"").name == "inngest/function.finished"


def test_failures_are_always_told() -> None:
    """People look for them even if no function does."""
    (record,) = outbox().records([ended("Failed")], NOW)
    assert CODEC.decode_as(Event, record.value or b"").name == "inngest/function.failed"
