"""Follows the changelog of all partitions, to know of each run of a verification what became of it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator

from confluent_kafka import Consumer, Message, TopicPartition

from ..errors import UndecodableRecord
from ..kafka import clients
from ..kafka.partition_log import KafkaPartitionLog
from ..messages import keys
from ..messages.codec import Codec
from ..messages.ids import RunId
from ..messages.records import Record, RunEnded, RunStarted, StepFinished
from ..settings import KafkaSettings
from .reckoning import SeenRun

MOST_ENTRIES = 100
BATCH = 1000


class ChangelogWatch:
    """Reads in a thread, from where the changelog ended when it was opened, and keeps the runs of some apps."""

    def __init__(self, settings: KafkaSettings, codec: Codec) -> None:
        self._codec = codec
        self._apps: set[str] = set()
        self._runs: dict[str, dict[RunId, SeenRun]] = defaultdict(dict)
        self._entries: dict[RunId, list[str]] = {}
        self._changed: dict[str, float] = {}
        self._of: dict[RunId, str] = {}
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._open = True
        self._consumer = Consumer(clients.consumer(settings, "penstock-verify", f"{settings.topic_prefix}verify"))
        self._consumer.assign(_ends(settings))
        self._thread = threading.Thread(target=self._follow, name="changelog", daemon=True)
        self._thread.start()

    def add(self, app: str) -> None:
        """Keep runs of this app."""
        with self._lock:
            self._apps.add(app)

    def drop(self, app: str) -> None:
        """Forget an app and its runs."""
        with self._lock:
            self._apps.discard(app)
            self._changed.pop(app, None)
            for run in self._runs.pop(app, {}):
                self._of.pop(run, None)
                self._entries.pop(run, None)

    def runs(self, app: str) -> list[SeenRun]:
        """As of now; they go on changing until they have ended. Raises what has ended the reading."""
        if self._error is not None:
            raise self._error
        with self._lock:
            return list(self._runs[app].values())

    def changed_at(self, app: str) -> float:
        """When something was last written about a run of the app, by the monotonic clock; 0 for never."""
        with self._lock:
            return self._changed.get(app, 0.0)

    def entries(self, run: RunId) -> Iterator[str]:
        """Places and keys of what was written last about a run."""
        with self._lock:
            yield from list(self._entries.get(run, []))

    def close(self) -> None:
        self._open = False
        self._thread.join(5.0)
        self._consumer.close()

    def _follow(self) -> None:
        try:
            self._read()
        except BaseException as error:
            self._error = error  # for whoever asks for runs

    def _read(self) -> None:
        while self._open:
            first = self._consumer.poll(0.2)
            if first is None:
                continue
            batch = [first, *self._consumer.consume(BATCH, 0)]
            with self._lock:
                for message in batch:
                    if message.error() is None:  # a broker that is away comes back
                        self._take(message)

    def _decoded(self, message: Message) -> Record | None:
        """None for what no release of ours wrote, and for a value that is gone: neither says anything of a run."""
        value = message.value()
        try:
            return None if value is None else self._codec.decode(value)
        except UndecodableRecord:
            return None

    def _take(self, message: Message) -> None:
        key, value = message.key() or b"", message.value()
        kind = keys.kind_of(key)
        if kind == b"run":
            self._begin(self._decoded(message))
        run = _run_of(key) if kind in (b"run", b"job", b"step", b"progress", b"end") else None
        app = self._of.get(run) if run is not None else None
        if run is None or app is None:
            return
        self._changed[app] = time.monotonic()
        entries = self._entries[run]
        shown = key.decode("utf-8", "replace") + ("" if value is not None else " (gone)")
        entries.append(f"{message.partition()}@{message.offset()} {shown}")
        del entries[:-MOST_ENTRIES]
        if kind in (b"step", b"end"):
            self._fill(self._runs[app][run], self._decoded(message))

    def _begin(self, record: object) -> None:
        if not isinstance(record, RunStarted):
            return
        app = record.function.split("/", 1)[0]
        if app in self._apps and record.run_id not in self._of:
            self._of[record.run_id] = app
            self._runs[app][record.run_id] = SeenRun(record)
            self._entries[record.run_id] = []

    def _fill(self, run: SeenRun, record: object) -> None:
        match record:
            case StepFinished():
                run.steps[record.step_id] = record
            case RunEnded():
                run.end = record
            case _:
                pass


def _run_of(key: bytes) -> RunId | None:
    """None when the key names none."""
    try:
        return keys.run_of(key)
    except (IndexError, UnicodeDecodeError):
        return None


def _ends(settings: KafkaSettings) -> list[TopicPartition]:
    topics = settings.topics()
    found = []
    for partition in range(topics.run_partitions):
        log = KafkaPartitionLog(settings, topics.run_state, partition)
        try:
            found.append(TopicPartition(topics.run_state, partition, log.bounds()[1]))
        finally:
            log.close()
    return found
