"""Records folded into rows: a batch of the topics, as the fewest changes of the tables that say the same.

Pure. Replaces nothing that it does not know: a row of a run's start leaves its end alone, and the reverse, so that
any part of a run may be read any number of times.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

from ..errors import Unavailable, UndecodableRecord
from ..messages import keys
from ..messages.codec import Codec
from ..messages.incoming import Arrival, IncomingEvents
from ..messages.records import Event, JobScheduled, RunEnded, RunStarted, StepFinished

log = logging.getLogger(__name__)

Value = str | int | bool | None
Row = dict[str, Value]
JobPlace = tuple[str, str]

STARTED_COLUMNS = ("run_id", "function", "function_version", "received_at", "started_at", "max_attempts")
ENDED_COLUMNS = ("run_id", "status", "output", "ended_at")
MAX_KEY_CHARACTERS = 200


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


class RowFolder:
    """Adds records to rows. What cannot be decoded is passed over: its dead letter is the matcher's to write."""

    def __init__(self, codec: Codec, incoming: IncomingEvents) -> None:
        self._codec = codec
        self._incoming = incoming
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

    def add_state(self, rows: Rows, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the run-state changelog.

        A tombstone of a job says that it is done; any other only that the owner has forgotten the run.
        """
        kind = keys.kind_of(key or b"")
        if key is None or kind not in self._kinds:
            return
        try:
            if value is not None:
                self._kinds[kind](rows, key, value)
            elif kind == b"job":
                _job_done(rows, key)
        except Unavailable:
            raise
        except (UndecodableRecord, ValueError, IndexError) as error:
            log.error("run-state: a record under %r is passed over: %s", key[:200], error)

    def settle(self, rows: Rows) -> Rows:
        """The rows, complete: to be called after the last record."""
        for place, value in rows.undecoded_jobs.items():
            try:
                rows.jobs[place] = _job_row(self._codec.decode_as(JobScheduled, value), place)
            except UndecodableRecord as error:
                log.error("run-state: job %s of run %s is passed over: %s", place[1], place[0], error)
        rows.undecoded_jobs.clear()
        return rows

    def _started(self, rows: Rows, _key: bytes, value: bytes) -> None:
        record = self._codec.decode_as(RunStarted, value)
        rows.started[record.run_id] = {
            "run_id": record.run_id,
            "function": plain(record.function),
            "function_version": record.function_version,
            "received_at": record.received_at,
            "started_at": record.started_at,
            "max_attempts": record.max_attempts,
        }
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
            "output": plain(record.output),
            "ended_at": record.ended_at,
        }

    def _step(self, rows: Rows, _key: bytes, value: bytes) -> None:
        record = self._codec.decode_as(StepFinished, value)
        step_id = bounded_key(record.step_id)
        rows.steps.setdefault((record.run_id, step_id), _step_row(record, step_id))

    def _job(self, rows: Rows, key: bytes, value: bytes) -> None:
        place = _job_place(key)
        rows.undecoded_jobs[place] = value
        rows.done_jobs.discard(place)


def plain(text: str) -> str:
    """The text without NUL characters, which PostgreSQL cannot hold."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def bounded_key(text: str) -> str:
    """The text as part of a primary key: a long one keeps its beginning, and a hash of the whole."""
    if len(text) <= MAX_KEY_CHARACTERS:
        return plain(text)
    return plain(text[:128]) + "…" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _job_place(key: bytes) -> JobPlace:
    _kind, run, job = key.decode().split("/", 2)
    return run, bounded_key(job)


def _job_done(rows: Rows, key: bytes) -> None:
    place = _job_place(key)
    rows.undecoded_jobs.pop(place, None)
    # A run that began in this very batch has no row of a job in the database yet.
    if place[0] not in rows.started:
        rows.done_jobs.add(place)


def _event_row(event: Event, arrival: Arrival) -> Row:
    return {
        "internal_id": event.internal_id,
        "id": plain(event.id),
        "name": plain(event.name),
        "ts": event.ts,
        "received_at": event.received_at,
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
        "output": plain(record.output),
        "failed": record.failed,
        "attempt": record.attempt,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
    }


def _job_row(record: JobScheduled, place: JobPlace) -> Row:
    return {
        "run_id": place[0],
        "job_id": place[1],
        "kind": record.kind,
        "step_id": plain(record.step_id),
        "name": plain(record.name),
        "attempt": record.attempt,
        "due_at": record.due_at,
        "scheduled_at": record.scheduled_at,
        "last_error": None if record.last_error is None else plain(record.last_error),
    }
