"""Identifiers and how they are derived.

Ids that the system makes are ULIDs: 48 bits of milliseconds, 80 bits of entropy, 26 characters of Crockford's
base 32, so that they sort by time. A run id is derived, never drawn: from (function, event id), so that a command
which arrives twice names the same run; its last 16 bits are the run's *bucket*, and the bucket decides the
partition, so that whoever holds a run id knows its owner.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NewType
from uuid import UUID, uuid5

RunId = NewType("RunId", str)
"""ULID of a run; the last 16 bits are the bucket."""
EventId = NewType("EventId", str)
"""ULID of one arrival of an event (internal id); the producer's own id is plain text."""
FunctionKey = NewType("FunctionKey", str)
"""`app/slug`: a function's identity across registrations and URLs."""
StepId = NewType("StepId", str)
"""Hashed step id, as the SDK computed it; `step` stands for discovery."""
JobId = NewType("JobId", str)
"""Pending work within a run, deterministic: `discover/start`, `plan/<step>`, `sleep/<step>`."""

ReplayId = NewType("ReplayId", str)
"""ULID of a replay."""

DISCOVERY = StepId("step")
BUCKETS = 1 << 16

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_NAMESPACE = UUID("6f1d2a52-6c1b-5f0e-9a39-5a0b3f3a7c11")
_MAX_MILLIS = (1 << 48) - 1


def ulid(millis: int, entropy: bytes) -> str:
    """Write a ULID from milliseconds since 1970 and exactly 10 bytes of entropy."""
    if len(entropy) != 10:
        raise ValueError(f"a ULID takes 10 bytes of entropy, not {len(entropy)}")
    number = (min(max(millis, 0), _MAX_MILLIS) << 80) | int.from_bytes(entropy, "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def is_ulid(text: str) -> bool:
    """True for 26 upper-case characters that encode 128 bits."""
    return _ULID.fullmatch(text) is not None


def ulid_number(text: str) -> int:
    """The 128 bits of a ULID; ValueError when the text is none."""
    if not is_ulid(text):
        raise ValueError(f"not a ULID: {text[:40]!r}")
    number = 0
    for letter in text:
        number = number << 5 | _VALUES[letter]
    return number


def ulid_millis(text: str) -> int:
    """Milliseconds since 1970 of a ULID; ValueError when the text is none."""
    return ulid_number(text) >> 80


def bucket_of(placement: str) -> int:
    """The bucket (0..65535) of a placement key, by default `function` and event id."""
    return int.from_bytes(hashlib.blake2b(placement.encode(), digest_size=2).digest(), "big")


def run_id(function: FunctionKey, event_id: str, received_at: int, placement: str | None = None) -> RunId:
    """The run that `function` makes of an event.

    `event_id` is the producer's id, or the internal one where it gave none; `received_at` (ms) gives the sortable
    part; `placement` (default: function and event id) decides the bucket. Equal arguments give equal ids, on every
    machine.
    """
    seed = f"{function}\0{event_id}"
    entropy = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    bucket = bucket_of(seed if placement is None else placement)
    return RunId(ulid(received_at, entropy + bucket.to_bytes(2, "big")))


def run_partition(run: RunId, partitions: int) -> int:
    """Partition of `run-steps` and `run-state` that owns the run; ValueError when the id is no ULID."""
    return (ulid_number(run) & (BUCKETS - 1)) % partitions


def record_event_id(topic: str, partition: int, offset: int, millis: int) -> EventId:
    """Internal id of an event whose producer did not mint one: the same for every reader of the record."""
    place = f"{topic}\0{partition}\0{offset}".encode()
    return EventId(ulid(millis, hashlib.blake2b(place, digest_size=10).digest()))


@lru_cache(maxsize=4096)
def function_uuid(function: FunctionKey) -> UUID:
    """The UUID by which SDKs know a function (`ctx.fn_id`)."""
    return uuid5(_NAMESPACE, f"function/{function}")


def app_uuid(app: str) -> UUID:
    """The UUID by which SDKs know an app."""
    return uuid5(_NAMESPACE, f"app/{app}")


def signal_partition(signal: str, partitions: int) -> int:
    """The run partition whose owner decides who waits for a signal."""
    return bucket_of(f"signal\0{signal}") % partitions


def function_partition(function: FunctionKey, partitions: int) -> int:
    """The run partition whose owner fires a function's cron triggers."""
    return bucket_of(f"function\0{function}") % partitions
