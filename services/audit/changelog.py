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
from ..messages.records import JobScheduled, OffsetApplied, RunEnded, RunStarted, StepFinished
from .findings import Findings, Rule

#: A job this late is not only in a queue.
LATE_MS = 120_000
_OF_RUNS = frozenset((b"run", b"job", b"step", b"progress", b"end"))


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
        self.jobs: dict[RunId, dict[JobId, LiveJob]] = {}
        self.folded: dict[bytes, bytes] = {}
        """Digest of the last value of each key."""
        self.applied = -1
        """Commands up to this offset are part of what was read."""
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
            self._removed(key)
            return
        if self._folding:
            self.folded[key] = digest(value)
        kind = keys.kind_of(key)
        if kind == b"dedupe":
            self.deduplicated.add(key)
        elif kind == keys.OFFSET:
            self._offset(place, value)
        elif kind in _OF_RUNS:
            self._of_run(place, key, value)

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
                if job.kind not in ("call", "request") and job.due_at < now - LATE_MS:
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

    def _offset(self, place: str, value: bytes) -> None:
        applied = self._codec.decode_as(OffsetApplied, value).offset
        if applied < self.applied:
            message = f"commands were applied up to {self.applied} before, and now up to {applied}: two wrote at once"
            self.findings.add("one owner", place, message)
        self.applied = max(self.applied, applied)

    def _of_run(self, place: str, key: bytes, value: bytes) -> None:
        run = keys.run_of(key)
        if run not in self.started and keys.kind_of(key) != b"run":
            self._orphans.setdefault(run, f"{key.decode(errors='replace')} was written at {place}")
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

    def _removed(self, key: bytes) -> None:
        match keys.kind_of(key):
            case b"dedupe":
                self.deduplicated.discard(key)
            case b"step":
                self._steps.get(keys.run_of(key), set()).discard(key)
            case b"job":
                run, job = key.decode().split("/", 2)[1:]
                jobs = self.jobs.get(RunId(run), {})
                jobs.pop(JobId(job), None)
                if not jobs:
                    self.jobs.pop(RunId(run), None)
            case b"run":
                run_id = keys.run_of(key)
                self.started.discard(run_id)
                self._steps.pop(run_id, None)
                self._orphans.pop(run_id, None)
                self.purged.add(run_id)
            case b"end":
                self.ended.pop(keys.run_of(key), None)
                self._orphans.pop(keys.run_of(key), None)
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


def digest(value: bytes) -> bytes:
    """Stands for a value."""
    return hashlib.blake2b(value, digest_size=16).digest()
