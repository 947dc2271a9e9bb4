"""Records folded into rows: a batch of the topics, as the fewest changes of the tables that say the same.

Pure. Replaces nothing that it does not know: a row of a run's start leaves its end alone, and the reverse, so that
any part of a run may be read any number of times.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable

import msgspec
import orjson

from ..errors import Unavailable, UndecodableRecord
from ..messages import keys
from ..messages.codec import Codec
from ..messages.ids import record_event_id
from ..messages.incoming import Arrival, IncomingEvents
from ..messages.records import App, DeadLetter, Event, Function, JobScheduled, RunEnded, RunStarted, StepFinished
from ..runs.details import shown
from .plain_text import MAX_KEY_CHARACTERS, bounded_key, json_text, moment, plain
from .started_by import events_of
from .users import UserNames

log = logging.getLogger(__name__)

__all__ = ["MAX_KEY_CHARACTERS", "RowFolder", "Rows", "bounded_key", "plain"]

Value = str | int | bool | bytes | None
Row = dict[str, Value]
JobPlace = tuple[str, str]

STARTED_COLUMNS = (
    "run_id",
    "function",
    "function_version",
    "received_at",
    "started_at",
    "max_attempts",
    "parent_run",
    "parent_job",
    "correlation_id",
    "cron",
    "rerun_of",
    "replay",
    "event_count",
)
ENDED_COLUMNS = ("run_id", "status", "output", "ended_at")
#: What a run ended with whose state was purged, and its end compacted away, before history came to it.
END_NOT_SEEN = '{"message":"how the run ended is not known: its state was purged before history had read its end"}'


class Rows:
    """What a batch changes. Later records win, except where the first is final."""

    def __init__(self) -> None:
        self.events: dict[str, Row] = {}
        self.started: dict[str, Row] = {}
        self.ended: dict[str, Row] = {}
        self.run_events: dict[tuple[str, str], Row] = {}
        self.steps: dict[tuple[str, str], Row] = {}
        self.jobs: dict[JobPlace, Row] = {}
        self.done_jobs: set[JobPlace] = set()
        self.undecoded_jobs: dict[JobPlace, bytes] = {}
        """Jobs as they came. Most are done within their batch, so they are decoded at its end: see `settle`."""
        self.undecoded_attempts: list[tuple[JobPlace, bytes]] = []
        """Jobs that may hold the error of an attempt before them."""
        self.purged: dict[str, Row] = {}
        """Runs that their owner has forgotten. They have ended, whether their end has been seen or not."""
        self.attempts: dict[tuple[str, str, int], Row] = {}
        self.event_users: dict[tuple[str, str], Row] = {}
        self.run_users: dict[tuple[str, str], Row] = {}
        self.functions: dict[str, Row] = {}
        self.function_versions: dict[tuple[str, int], Row] = {}
        self.apps: dict[str, Row] = {}
        self.dead_letters: dict[str, Row] = {}


class RowFolder:
    """Adds records to rows. What cannot be decoded is passed over: its dead letter is the matcher's to write."""

    def __init__(self, codec: Codec, incoming: IncomingEvents, users: UserNames | None = None) -> None:
        self._codec = codec
        self._incoming = incoming
        self._users = users or UserNames()
        self._kinds: dict[bytes, Callable[[Rows, bytes, bytes], None]] = {
            b"run": self._started,
            b"end": self._ended,
            b"step": self._step,
            b"job": self._job,
        }

    def add_event(self, rows: Rows, arrival: Arrival, internal: bool) -> None:
        """Take a record of an event topic; raises `Unavailable` while the schema registry is away."""
        try:
            event = self._incoming.decode(arrival, internal)
        except UndecodableRecord as error:
            log.debug("%s/%s/%s is no event: %s", arrival.topic, arrival.partition, arrival.offset, error)
            return
        rows.events.setdefault(event.internal_id, _event_row(event, arrival))
        self._note_users_of_event(rows, event)

    def add_function(self, rows: Rows, value: bytes | None) -> None:
        """Take a record of the functions topic: functions and apps; what else lies there is not history's."""
        if value is None:
            return
        try:
            record = self._codec.decode(value)
        except UndecodableRecord as error:
            log.error("functions: a record is passed over: %s", error)
            return
        if isinstance(record, Function):
            rows.functions[record.key] = _function_row(record)
            rows.function_versions.setdefault((record.key, record.version), _version_row(record))
        elif isinstance(record, App):
            rows.apps[record.name] = _app_row(record)

    def add_dead_letter(self, rows: Rows, value: bytes | None) -> None:
        """Take a record of the dead letters."""
        try:
            letter = self._codec.decode_as(DeadLetter, value or b"")
        except UndecodableRecord as error:
            log.error("dead-letters: a record is passed over: %s", error)
            return
        row = _dead_letter_row(letter)
        rows.dead_letters.setdefault(str(row["id"]), row)

    def add_state(self, rows: Rows, key: bytes | None, value: bytes | None, written_at: int = 0) -> None:
        """Take a record of the run-state changelog, and when it was written.

        A tombstone of a job says that it is done; one of an end, that the owner has forgotten the run long after it
        ended. Any other says nothing more.
        """
        kind = keys.kind_of(key or b"")
        if key is None or kind not in self._kinds:
            return
        try:
            if value is not None:
                self._kinds[kind](rows, key, value)
            elif kind == b"job":
                _job_done(rows, key)
            elif kind == b"end":
                _purged(rows, key, written_at)
        except Unavailable:
            raise
        except (UndecodableRecord, ValueError, IndexError) as error:
            log.error("run-state: a record under %r is passed over: %s", key[:200], error)

    def settle(self, rows: Rows) -> Rows:
        """The rows, complete: to be called after the last record."""
        for place, value in rows.undecoded_jobs.items():
            try:
                rows.jobs[place] = _job_row(self._codec.decode_as(JobScheduled, value), place)
            except (UndecodableRecord, msgspec.MsgspecError) as error:
                log.error("run-state: job %s of run %s is passed over: %s", place[1], place[0], error)
        rows.undecoded_jobs.clear()
        for place, value in rows.undecoded_attempts:
            self._note_attempt(rows, place, value)
        rows.undecoded_attempts.clear()
        return rows

    def _note_attempt(self, rows: Rows, place: JobPlace, value: bytes) -> None:
        try:
            record = self._codec.decode_as(JobScheduled, value)
        except UndecodableRecord:
            return  # `settle` has said so, unless the job is done and its row would be gone anyway
        if record.last_error is not None and record.attempt > 0:
            rows.attempts.setdefault((*place, record.attempt - 1), _attempt_row(record, place, record.last_error))

    def _note_users_of_event(self, rows: Rows, event: Event) -> None:
        for name in self._users.of_payloads(event.user, event.data):
            place = (name, event.internal_id)
            rows.event_users[place] = {"user_name": name, "internal_id": event.internal_id}

    def _started(self, rows: Rows, _key: bytes, value: bytes) -> None:
        record = self._codec.decode_as(RunStarted, value)
        rows.purged.pop(record.run_id, None)
        rows.started[record.run_id] = {
            "run_id": record.run_id,
            "function": plain(record.function),
            "function_version": record.function_version,
            "received_at": moment(record.received_at),
            "started_at": moment(record.started_at),
            "max_attempts": record.max_attempts,
            "parent_run": plain(record.parent_run),
            "parent_job": plain(record.parent_job),
            "correlation_id": plain(record.correlation_id),
            "cron": plain(record.cron),
            "rerun_of": plain(record.rerun_of),
            "replay": plain(record.replay),
            "event_count": len(record.event_ids),
        }
        for text in record.events:
            for name in self._users.of_event(text):
                rows.run_users[(name, record.run_id)] = {"user_name": name, "run_id": record.run_id}
        if record.cron or record.parent_run or record.rerun_of or record.replay:
            # Such an event may never have been on a topic, or be there no longer.
            for event in events_of(record):
                rows.events.setdefault(event.internal_id, _event_row(event, Arrival("", -1, -1, 0, None)))
                self._note_users_of_event(rows, event)
        for position, event_id in enumerate(record.event_ids):
            place = (bounded_key(event_id), record.run_id)
            rows.run_events[place] = {
                "event_internal_id": place[0],
                "run_id": record.run_id,
                "position": position,
            }

    def _ended(self, rows: Rows, _key: bytes, value: bytes) -> None:
        record = self._codec.decode_as(RunEnded, value)
        rows.ended[record.run_id] = {
            "run_id": record.run_id,
            "status": record.status,
            "output": json_text(record.output),
            "ended_at": moment(record.ended_at),
        }

    def _step(self, rows: Rows, _key: bytes, value: bytes) -> None:
        record = self._codec.decode_as(StepFinished, value)
        step_id = bounded_key(record.step_id)
        rows.steps.setdefault((record.run_id, step_id), _step_row(record, step_id))

    def _job(self, rows: Rows, key: bytes, value: bytes) -> None:
        place = _job_place(key)
        rows.undecoded_jobs[place] = value
        rows.done_jobs.discard(place)
        # An error is JSON with a text or an object in it; a plain call's record has neither.
        if b"{" in value or b'"' in value:
            rows.undecoded_attempts.append((place, value))


def _job_place(key: bytes) -> JobPlace:
    _kind, run, job = key.decode().split("/", 2)
    return run, bounded_key(job)


def _job_done(rows: Rows, key: bytes) -> None:
    place = _job_place(key)
    rows.undecoded_jobs.pop(place, None)
    # A run that began in this very batch has no row of a job in the database yet.
    if place[0] not in rows.started:
        rows.done_jobs.add(place)


def _purged(rows: Rows, key: bytes, written_at: int) -> None:
    run = keys.run_of(key)
    rows.purged[run] = {
        "run": run,
        "at_status": "Unknown",
        "at_output": END_NOT_SEEN,
        "at_ended_at": moment(written_at),
    }


def _event_row(event: Event, arrival: Arrival) -> Row:
    return {
        "internal_id": event.internal_id,
        "id": plain(event.id),
        "name": plain(event.name),
        "ts": moment(event.ts),
        "received_at": moment(event.received_at),
        "user": plain(event.user),
        "data": plain(event.data),
        "v": None if event.v is None else plain(event.v),
        "source": plain(event.source),
        "topic": arrival.topic,
        "partition": arrival.partition,
        "offset": arrival.offset,
    }


def _step_row(record: StepFinished, step_id: str) -> Row:
    return {
        "run_id": record.run_id,
        "step_id": step_id,
        "position": record.position,
        "op": plain(record.op),
        "name": plain(record.name),
        "output": json_text(record.output),
        "failed": record.failed,
        "attempt": record.attempt,
        "started_at": moment(record.started_at),
        "ended_at": moment(record.ended_at),
        "detail": record.detail and json_text(record.detail),
        "source": bounded_key(record.source),
    }


def _attempt_row(record: JobScheduled, place: JobPlace, error: str) -> Row:
    """The attempt before: a job's next one is scheduled at the moment that it fails."""
    return {
        "run_id": place[0],
        "job_id": place[1],
        "attempt": record.attempt - 1,
        "kind": record.kind,
        "step_id": plain(record.step_id),
        "name": plain(record.name),
        "error": json_text(error),
        "ended_at": moment(record.scheduled_at),
        "next_at": moment(record.due_at),
    }


def _function_row(record: Function) -> Row:
    return {
        "key": plain(record.key),
        "app": plain(record.app),
        "slug": plain(record.slug),
        "name": plain(record.name),
        "version": record.version,
        "config": json_text(record.config),
        "registered_at": moment(record.registered_at),
        "archived": record.archived,
    }


def _version_row(record: Function) -> Row:
    return {
        "key": plain(record.key),
        "version": record.version,
        "config": json_text(record.config),
        "registered_at": moment(record.registered_at),
    }


def _app_row(record: App) -> Row:
    return {
        "name": plain(record.name),
        "url": plain(record.url),
        "checksum": plain(record.checksum),
        "synced_at": moment(record.synced_at),
        "sdk": plain(record.sdk),
        "framework": plain(record.framework),
        "error": None if record.error is None else plain(record.error),
    }


def _dead_letter_row(letter: DeadLetter) -> Row:
    headers = {plain(name): b64encode(value).decode() for name, value in letter.headers.items()}
    return {
        "id": record_event_id(letter.topic, letter.partition, letter.offset, letter.timestamp),
        "topic": plain(letter.topic),
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": moment(letter.timestamp),
        "key": letter.key,
        "value": letter.value,
        "headers": orjson.dumps(headers).decode(),
        "reason": plain(letter.reason),
        "seen_at": moment(letter.seen_at),
    }


def _job_row(record: JobScheduled, place: JobPlace) -> Row:
    return {
        "run_id": place[0],
        "job_id": place[1],
        "kind": record.kind,
        "step_id": plain(record.step_id),
        "name": plain(record.name),
        "attempt": record.attempt,
        "due_at": moment(record.due_at),
        "scheduled_at": moment(record.scheduled_at),
        "last_error": None if record.last_error is None else json_text(record.last_error),
        "detail": (detail := shown(record)) and json_text(detail),
    }
