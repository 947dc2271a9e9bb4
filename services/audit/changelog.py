"""Runs, as the changelog of one partition tells them: pure, record by record, in the partition's order.

Compaction may have removed earlier records of a key; it never removes the last. So what is counted here can be missing,
but what is found is true.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..errors import UndecodableRecord
from ..messages import keys
from ..messages.codec import Codec
from ..messages.ids import JobId, RunId
from ..messages.records import JobScheduled, OffsetApplied, RunEnded, RunStarted, StartRun, StepFinished
from .findings import Findings, Rule

#: A timer, an event or a command this late is not only in a queue.
LATE_MS = 120_000
#: A call may be under way for hours, and wait for an app that is away; not for a day.
LATE_CALL_MS = 24 * 3600 * 1000
_OF_RUNS = frozenset((b"run", b"job", b"step", b"progress", b"end"))
#: Keys that begin so are a store's own: it takes none of them from a changelog.
_LOCAL = b"\0"


@dataclass(frozen=True, slots=True)
class LiveJob:
    """What a live run waits for or works on."""

    kind: str
    due_at: int
    wait_key: str


class ChangelogAudit:
    """Folds `run-state` of one partition. Values are kept as digests, so that a large state fits into memory."""

    def __init__(self, partition: int, codec: Codec, folding: bool = True) -> None:
        """`folding`: whether `folded` is wanted, which takes memory for every key."""
        self.findings = Findings()
        self.started: set[RunId] = set()
        """Runs with a start that is not purged."""
        self.ended: dict[RunId, str] = {}
        """How runs ended that are not purged."""
        self.purged: set[RunId] = set()
        self.deduplicated: set[bytes] = set()
        """Keys of deduplication marks."""
        self.expired: set[bytes] = set()
        """Keys of deduplication marks that are removed."""
        self.jobs: dict[RunId, dict[JobId, LiveJob]] = {}
        self.folded: dict[bytes, bytes] = {}
        """Digest of the last value of each key."""
        self.applied = -1
        """Commands up to this offset are part of what was read."""
        self._commands_topic = ""
        self._partition = partition
        self._codec = codec
        self._folding = folding
        self._steps: dict[RunId, set[bytes]] = {}
        self._orphans: dict[RunId, str] = {}
        self._owner: bytes | None = None
        self._former_owners: set[bytes] = set()

    def take(self, offset: int, key: bytes, value: bytes | None, owner: bytes | None = None) -> None:
        """The next committed record; `owner` names the owning by which its commit was written, where that is told."""
        place = f"run-state/{self._partition}@{offset}"
        self.findings.checked["changelog records"] += 1
        if owner is not None and owner != self._owner:
            self._taken_over(place, owner)
        if value is None:
            self.folded.pop(key, None)
        elif self._folding and key[:1] > _LOCAL:
            self.folded[key] = digest(value)
        kind = keys.kind_of(key)
        if kind == b"dedupe" and value is None:
            self.deduplicated.discard(key)
            self.expired.add(key)
        elif kind == b"dedupe":
            self.deduplicated.add(key)
        elif kind == keys.OFFSET and value is not None:
            self._offset(place, value)
        elif kind in _OF_RUNS:
            self._with_run(place, key, value)

    def finish(self, now: int) -> Findings:
        """Judge what is alive; to be called after the last record."""
        for run, place in self._orphans.items():
            if run not in self.started:
                self.findings.add("nothing without a run", run, f"has no start, and {place}")
        for run in self.started - self.ended.keys():
            self.findings.checked["live runs"] += 1
            jobs = self.jobs.get(run, {})
            if not any(job.kind != "cancel" for job in jobs.values()):
                self.findings.add("alive", run, "has not ended and has neither work nor a timer nor a wait")
            for job_id, job in jobs.items():
                patience = LATE_CALL_MS if job.kind in ("call", "request") else LATE_MS
                if job.due_at < now - patience:
                    late = (now - job.due_at) // 1000
                    self.findings.add("on time", f"{run}/{job_id}", f"was due {late} s ago and has not been taken")
        return self.findings

    def wait_keys(self) -> dict[str, str]:
        """Keys that live jobs have on the waits topic, and whose they are."""
        return {
            job.wait_key: f"{run}/{job_id}"
            for run, jobs in self.jobs.items()
            for job_id, job in jobs.items()
            if job.wait_key
        }

    def knows(self, command: StartRun) -> bool:
        """Whether a start command that was taken has left its run, or a mark that another run was begun for it.

        A mark may have been removed since the command was taken.
        """
        if command.run_id in self.started or command.run_id in self.purged:
            return True
        mark = keys.dedupe_key(command.function, command.dedupe_key or "")
        return command.dedupe_key is not None and (mark in self.deduplicated or mark in self.expired)

    def _offset(self, place: str, value: bytes) -> None:
        try:
            record = self._codec.decode_as(OffsetApplied, value)
        except UndecodableRecord as error:
            self.findings.add("decodable", place, str(error))
            return
        applied = record.offset
        if record.topic_id != self._commands_topic:  # the offsets of one made anew begin again
            self.applied, self._commands_topic = -1, record.topic_id
        if applied < self.applied:
            message = f"commands were applied up to {self.applied} before, and now up to {applied}: two wrote at once"
            self.findings.add("one owner", place, message)
        self.applied = max(self.applied, applied)

    def _with_run(self, place: str, key: bytes, value: bytes | None) -> None:
        named = _named(key)
        if named is None:
            if value is not None:  # a tombstone is how such a record is removed
                self.findings.add("decodable", place, f"the key {key[:200]!r} is none of a run")
        elif value is None:
            self._removed(key, *named)
        else:
            self._of_run(place, named[0], key, value)

    def _of_run(self, place: str, run: RunId, key: bytes, value: bytes) -> None:
        if run not in self.started and keys.kind_of(key) != b"run":
            self._orphans.setdefault(run, f"{key.decode()} was written at {place}")
        if run in self.ended:
            self.findings.add("nothing after the end", run, f"{key.decode()} was written at {place}, behind the end")
        try:
            record = self._codec.decode(value)
        except UndecodableRecord as error:
            self.findings.add("decodable", place, str(error))
            return
        match record:
            case RunStarted():
                self._once("one start", run, place, run in self.started)
                self.started.add(run)
            case StepFinished():
                steps = self._steps.setdefault(run, set())
                self._once("one result a step", key.decode(), place, key in steps)
                steps.add(key)
                self.findings.checked["steps"] += 1
            case JobScheduled():
                self.jobs.setdefault(run, {})[record.job_id] = LiveJob(record.kind, record.due_at, record.wait_key)
            case RunEnded():
                self._once("one end", run, place, run in self.ended)
                self.ended[run] = record.status
                self._steps.pop(run, None)  # whatever else is written of it is written behind its end
                self.findings.checked["ended runs"] += 1
                if self.jobs.get(run):
                    left = ", ".join(self.jobs[run])
                    self.findings.add("nothing after the end", run, f"ended at {place} with work left: {left}")
            case _:
                pass

    def _removed(self, key: bytes, run: RunId, rest: str) -> None:
        match keys.kind_of(key):
            case b"step":
                self._steps.get(run, set()).discard(key)
            case b"job":
                jobs = self.jobs.get(run, {})
                jobs.pop(JobId(rest), None)
                if not jobs:
                    self.jobs.pop(run, None)
            case b"run":
                self.started.discard(run)
                self._steps.pop(run, None)
                self._orphans.pop(run, None)
                self.purged.add(run)
            case b"end":
                self.ended.pop(run, None)
                self._orphans.pop(run, None)
            case _:
                pass

    def _taken_over(self, place: str, owner: bytes) -> None:
        """Each owning of a partition is fenced by the next: none may write again behind another."""
        if owner in self._former_owners:
            self.findings.add("one owner", place, f"owner {owner.hex()} wrote again behind the one that had fenced it")
        if self._owner is not None:
            self._former_owners.add(self._owner)
        self._owner = owner
        self.findings.checked["owners"] += 1

    def _once(self, rule: Rule, about: str, place: str, again: bool) -> None:
        if again:
            self.findings.add(rule, about, f"was written once more at {place}")


def _named(key: bytes) -> tuple[RunId, str] | None:
    """The run that a key names, and which job or step of it; None when no release of ours writes such a key."""
    try:
        kind, *names = key.decode().split("/", 2)
    except UnicodeDecodeError:
        return None
    if len(names) != (2 if kind in ("job", "step") else 1) or not names[0]:
        return None
    return RunId(names[0]), "".join(names[1:])


def digest(value: bytes) -> bytes:
    """Stands for a value."""
    return hashlib.blake2b(value, digest_size=16).digest()
