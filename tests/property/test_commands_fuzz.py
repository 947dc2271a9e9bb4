"""Whatever lies on `run-steps` and `run-state`: a partition goes on, and what it cannot take is a dead letter."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.errors import UndecodableRecord
from penstock.executor import timers
from penstock.executor.arrivals import CommandArrived, StateDue
from penstock.executor.core import PartitionCore
from penstock.executor.outgoing import Outbox
from penstock.executor.runstore import fold_changelog
from penstock.executor.shapes import KnownShapes
from penstock.messages import keys
from penstock.messages.records import (
    RECORDS,
    CancelRun,
    ClaimSignal,
    DeadLetter,
    InvokedRunEnded,
    Record,
    ReleaseSignal,
    ResumeRun,
    SignalAnswered,
    StartRun,
)
from penstock.messages.topics import Topics
from penstock.runs.commands import usable_command
from penstock.runs.turn import Rules
from penstock.state.memory import MemoryStore
from tests.property.effort import examples
from tests.unit.executor.world import CODEC, FN, T0, Registry, start
from tests.unit.messages.generated import records

COMMANDS = (StartRun, CancelRun, ResumeRun, InvokedRunEnded, ClaimSignal, ReleaseSignal, SignalAnswered)
RUNS = [start("a").run_id, start("b").run_id]
LATER = T0 + 10**12
JSON = ["{}", '{"name":"e"}', '{"name":1}', "null", "[1]", '"\\ud800"', "1e999", "nan", "", "[" * 2000 + "]" * 2000]
LIKELY: dict[str, list[Any]] = {
    "run_id": [*RUNS, "", "01ARZ3NDEKTSV4RRFFQ69G5FAV"],
    "invoked_run": RUNS,
    "parent_run": ["", *RUNS, "x"],
    "function": [FN],
    "job_id": ["discover/start", "signal/x", ""],
    "events": [('{"name":"e"}',), (), ('{"name":"e","data":"\\ud800"}',), ("[]",), ('{"name":1}',)],
    "event_ids": [("i",), ()],
    "memory": ["", "[]", '[{"step_id":"a","op":"StepRun","name":"a","output":"1"}]', "[1]", "x"],
    "event": JSON,
    "output": JSON,
    "data": JSON,
    "start_at": [0, -1, T0 + 1000, (1 << 63) - 1],
    "received_at": [T0, -(1 << 63), (1 << 63) - 1],
    "expires_at": [T0 + 1000, -1, (1 << 63) - 1],
    "due_at": [T0, T0 + 1000, -1, (1 << 63) - 1],
    "purge_at": [T0 + 1000, -1],
    "signal": ["x", ""],
    "dedupe_key": [None, "d"],
    "detail": ["", "{}", '{"signal":"x"}', "x"],
}


@st.composite
def likely(draw: st.DrawFn, kinds: tuple[type[Record], ...]) -> Record:
    """Records whose fields mean something more often than chance allows."""
    record = draw(records(draw(st.sampled_from(kinds))))
    names = [field.name for field in dataclasses.fields(record) if field.name in LIKELY]
    chosen = {name: draw(st.sampled_from(LIKELY[name])) for name in names if draw(st.integers(0, 3))}
    return dataclasses.replace(record, **chosen)


def new_core(state: Any) -> tuple[PartitionCore, Outbox]:
    table = Registry().table
    outbox = Outbox(Topics(run_partitions=1), CODEC, table, KnownShapes(), lambda name: True)
    return PartitionCore(0, 1, state, table, CODEC, Rules(), 100), outbox


def work(core: PartitionCore, outbox: Outbox, arrivals: list[Any], offset: int, now: int) -> int:
    """One commit, with everything that it would send; how many dead letters are among it."""
    draft = core.take(arrivals, now)
    outbox.records(draft.messages, now)
    letters = [CODEC.decode_as(DeadLetter, each.value or b"") for each in outbox.letters(draft, now)]
    assert all(letter.reason for letter in letters)
    core.settle(draft, offset, now)
    return len(letters)


def arrived(offset: int, command: Record) -> CommandArrived:
    """What the command reader makes of a record."""
    try:
        return CommandArrived(offset, usable_command(command, 0, 1))
    except UndecodableRecord as error:
        return CommandArrived(offset, DeadLetter("run-steps", 0, offset, T0, None, b"", str(error), T0))


def ages_pass(core: PartitionCore, outbox: Outbox, state: Any) -> None:
    """Everything that has a due time becomes due."""
    due = list(state.scan(timers.first_timer(), timers.timers_until(LATER), 500))
    work(core, outbox, [StateDue(*timers.read_timer(key)) for key, _ in due], 1000, LATER)


@settings(max_examples=examples(120))
@given(st.lists(likely(COMMANDS), max_size=5))
@example([dataclasses.replace(start("a"), memory="x")])
@example([dataclasses.replace(start("a"), events=("[]",))])
@example([dataclasses.replace(start("a"), run_id="x")])
@example([dataclasses.replace(start("a"), parent_run="x")])
@example([dataclasses.replace(start("a"), start_at=(1 << 63) - 1)])
@example([ClaimSignal("x", RUNS[0], "j", False, (1 << 63) - 1), ReleaseSignal("x", RUNS[0], "j")])
def test_no_command_stops_a_partition(commands: list[Record]) -> None:
    """Each is taken or a dead letter, and the good one behind them starts its run."""
    state = MemoryStore().open(0)
    core, outbox = new_core(state)
    for offset, command in enumerate(commands):
        arrival = arrived(offset, command)
        refused = work(core, outbox, [arrival], offset, T0)
        assert refused == isinstance(arrival.command, DeadLetter), command
    good = start("behind")
    assert work(core, outbox, [arrived(len(commands), good)], len(commands), T0) == 0
    assert core.runs.load(good.run_id) is not None
    assert core.next_command == len(commands) + 1
    ages_pass(core, outbox, state)


@settings(max_examples=examples(80))
@given(likely(COMMANDS))
def test_what_fails_in_the_core_is_a_dead_letter_too(command: Record) -> None:
    """Commands that nobody has looked at: the core passes over those on which it fails, and takes the next."""
    state = MemoryStore().open(0)
    core, outbox = new_core(state)
    draft = core.take([CommandArrived(0, command), CommandArrived(1, start("behind"))], T0)
    assert draft.failures == len(draft.refused) == len(outbox.letters(draft, T0))
    core.settle(draft, 1, T0)
    assert core.next_command == 2
    assert core.runs.load(start("behind").run_id) is not None


STATE_KEYS = [
    *(keys.run_key(run) for run in RUNS),
    *(keys.end_key(run) for run in RUNS),
    *(keys.progress_key(run) for run in RUNS),
    *(keys.job_key(run, "discover/start") for run in RUNS),
    *(keys.step_key(run, "s") for run in RUNS),
    keys.signal_key("x"),
    keys.dedupe_key(FN, "a"),
    keys.cron_key(FN, "* * * * *"),
    keys.cancellation_key("c"),
    keys.OFFSET,
    *(b"", b"\0", b"\0t", b"\0t\xff", b"\0t1234567890", b"job", b"job/", b"end/\xff/", b"run/x", b"\xff"),
]
values = st.one_of(
    likely(RECORDS).map(CODEC.encode),
    st.binary(max_size=20),
    likely(RECORDS).map(lambda record: CODEC.encode(record)[:-1]),
    st.none(),
)


@settings(max_examples=examples(150))
@given(st.lists(st.tuples(st.sampled_from(STATE_KEYS) | st.binary(max_size=12), values), max_size=8))
@example([(keys.job_key(RUNS[0], "j"), b"x")])
@example([(b"", b"x"), (b"\0t", b"x")])
@example([(keys.run_key(RUNS[0]), CODEC.encode(CancelRun(RUNS[0])))])
@example([(keys.OFFSET, b"x"), (keys.signal_key("x"), CODEC.encode(ClaimSignal("x", RUNS[0], "j", False, -1)))])
def test_no_state_of_others_stops_a_partition(pairs: list[tuple[bytes, bytes | None]]) -> None:
    """A changelog that another tool has written into is folded, its timers become due, and a new run starts."""
    state = MemoryStore().open(0)
    core, outbox = new_core(state)
    for offset, pair in enumerate(pairs):
        state.apply(fold_changelog(state, CODEC, [pair]), offset, T0)
    assert state.changelog_offset() == len(pairs) - 1
    core.restored()
    for run in RUNS:
        core.runs.load(run)
    ages_pass(core, outbox, state)
    offset, good = max(core.next_command, 0), start("behind")
    work(core, outbox, [CommandArrived(offset, good)], 1001, T0)
    assert core.runs.load(good.run_id) is not None


def test_dead_letter_of_a_command_says_where_it_lay() -> None:
    """What the core refuses can be found again: its topic, offset and bytes."""
    core, outbox = new_core(MemoryStore().open(0))
    poison = dataclasses.replace(start("a"), memory="x")
    draft = core.take([CommandArrived(7, poison)], T0)
    letter = CODEC.decode_as(DeadLetter, outbox.letters(draft, T0)[0].value or b"")
    assert (letter.topic, letter.partition, letter.offset) == (Topics().run_steps, 0, 7)
    assert CODEC.decode(letter.value or b"") == poison
    assert orjson.loads(orjson.dumps(letter.reason))
    assert "report it" in letter.reason
