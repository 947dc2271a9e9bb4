"""What live runs wait for, what lies on the waits topic for the matcher, and the matcher's table of it: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..errors import UndecodableRecord
from ..messages.codec import Codec
from ..messages.keys import wait_key
from ..messages.records import Wait
from .changelog import digest
from .findings import Findings


class WaitsAudit:
    """Folds `waits` of one partition."""

    def __init__(self, codec: Codec) -> None:
        self.registered: set[str] = set()
        """Keys that are not removed."""
        self.folded: dict[bytes, bytes] = {}
        """Digest of the last value of each key."""
        self.undecided: set[bytes] = set()
        """Keys under which something lay that is no wait: a dead letter, which a table may have taken or not."""
        self.poison: set[bytes] = set()
        """Those of them under which it lies still."""
        self._codec = codec

    def take(self, key: bytes, value: bytes | None) -> None:
        """The next committed record."""
        name = key.decode("utf-8", "replace")
        self.registered.discard(name)
        self.poison.discard(key)
        if value is None:
            self.folded.pop(key, None)
            return
        self.folded[key] = digest(value)
        if self._is_wait(key, value):
            self.registered.add(name)
        else:
            self.undecided.add(key)
            self.poison.add(key)

    def unreadable(self, partition: int) -> Findings:
        """What lies on the topic and is no wait; to be called after the last record."""
        found = Findings()
        for key in self.poison:
            found.add("decodable", f"waits/{partition}, {key[:200]!r}", "what lies under this key is no wait")
        return found

    def _is_wait(self, key: bytes, value: bytes) -> bool:
        try:
            return wait_key(self._codec.decode_as(Wait, value)).encode() == key
        except UndecodableRecord:
            return False


def compare(expected: Mapping[str, str], registered: Collection[str]) -> Findings:
    """`expected`: keys of live jobs and whose they are; `registered`: keys on the topic that are not tombstones."""
    findings = Findings()
    findings.checked["waits"] += len(expected)
    for key, job in expected.items():
        if key not in registered:
            findings.add("every wait is registered", job, f"nothing lies under {key} on the waits topic")
    for key in registered:
        if key not in expected:
            findings.add("no wait outlives its run", key, "is registered, and no live run waits for it")
    return findings
