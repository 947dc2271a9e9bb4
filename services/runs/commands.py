"""Which commands the owner of a partition takes.

Commands are the system's own, but their topic is open to whoever may write to it, and to other releases. A command that
is taken becomes state, and is read back for as long as its run lives; so it is held against what the state relies on
before. What is refused here is a dead letter.
"""

from __future__ import annotations

import msgspec
import orjson

from ..errors import UndecodableRecord
from ..messages.ids import is_ulid, run_partition, signal_partition
from ..messages.incoming import LATEST_MS
from ..messages.records import (
    CancelRun,
    ClaimSignal,
    InvokedRunEnded,
    Record,
    ReleaseSignal,
    ResumeRun,
    SignalAnswered,
    StartRun,
)
from .rerun import read_memory

Command = StartRun | CancelRun | ResumeRun | InvokedRunEnded | ClaimSignal | ReleaseSignal | SignalAnswered

#: Ids, names and reasons: far more than any release writes.
MAX_TEXT_CHARACTERS = 16 * 1024
#: What is taken is written again, with more beside it, and must fit into a record then.
MAX_PAYLOAD_CHARACTERS = 8 * 1024 * 1024


def usable_command(record: Record, partition: int, partitions: int) -> Command:
    """The command, when it belongs to this partition and holds what the state relies on; `UndecodableRecord` else."""
    match record:
        case StartRun():
            _require_start(record)
        case ResumeRun():
            _require_texts(record.job_id, record.event_id)
            _require_object(record.event, "event")
        case InvokedRunEnded():
            _require_texts(record.job_id, record.invoked_run)
            _require_json(record.output, "output")
        case SignalAnswered():
            _require_texts(record.job_id, record.signal, record.other_run)
            _require_json(record.data, "data")
        case ClaimSignal() | ReleaseSignal():
            _require_texts(record.job_id, record.signal)
        case CancelRun():
            _require_texts(record.reason)
        case _:
            raise UndecodableRecord(f"a {type(record).__name__} is no command: it does not belong on this topic")
    if isinstance(record, ClaimSignal):
        _require_time(record.expires_at, "expires_at")
    _require_run(record.run_id)
    _require_place(record, partition, partitions)
    return record


def _require_start(command: StartRun) -> None:
    _require_texts(command.function, command.correlation_id, command.cron, command.rerun_of, command.replay)
    _require_texts(command.dedupe_key or "", command.parent_job, *command.event_ids)
    if not command.events or len(command.events) != len(command.event_ids):
        raise UndecodableRecord(
            f"a run starts with one event or more, and an id for each: {len(command.events)} events came with "
            f"{len(command.event_ids)} ids"
        )
    if sum(map(len, command.events)) + len(command.memory) > MAX_PAYLOAD_CHARACTERS:
        raise UndecodableRecord(f"events and memory of a start have more than {MAX_PAYLOAD_CHARACTERS} characters")
    for event in command.events:
        _require_object(event, "event")
    _require_time(command.received_at, "received_at")
    _require_time(command.start_at, "start_at")
    if command.parent_run:
        _require_run(command.parent_run)
    _require_memory(command.memory)


def _require_memory(memory: str) -> None:
    try:
        steps = read_memory(memory)
    except msgspec.DecodeError as error:
        raise UndecodableRecord(f"memory is not a list of steps: {error}") from error
    for step in steps:
        _require_texts(step.step_id, step.op, step.name)
        _require_json(step.output, "the output of a remembered step")


def _require_place(command: Command, partition: int, partitions: int) -> None:
    """Another partition's run must not get a second owner."""
    if isinstance(command, ClaimSignal | ReleaseSignal):
        right = signal_partition(command.signal, partitions)
    else:
        right = run_partition(command.run_id, partitions)
    if right != partition:
        raise UndecodableRecord(f"this {type(command).__name__} belongs to partition {right}, not {partition}")


def _require_run(run_id: str) -> None:
    if not is_ulid(run_id):
        raise UndecodableRecord(f"{run_id[:40]!r} is no run id: run ids are ULIDs")


def _require_texts(*texts: str) -> None:
    for text in texts:
        if len(text) > MAX_TEXT_CHARACTERS:
            raise UndecodableRecord(f"a text has {len(text)} characters; at most {MAX_TEXT_CHARACTERS} are allowed")


def _require_time(value: int, name: str) -> None:
    if not 0 <= value <= LATEST_MS:
        raise UndecodableRecord(f"{name} {value} is not between 1970 and 2100, in milliseconds since 1970")


def _require_object(text: str, name: str) -> None:
    value = _require_json(text, name)
    if not isinstance(value, dict) or not isinstance(value.get("name", ""), str):
        raise UndecodableRecord(f"{name} is not a JSON object whose name is text")


def _require_json(text: str, name: str) -> object:
    if len(text) > MAX_PAYLOAD_CHARACTERS:
        raise UndecodableRecord(f"{name} has more than {MAX_PAYLOAD_CHARACTERS} characters")
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UndecodableRecord(f"{name} is not valid JSON: {error}") from error
    return value
