"""Dead letters: a record that could not be used, as it came, with the reason; bounded, so that it fits on its topic."""

from __future__ import annotations

from collections.abc import Sequence

from .incoming import Arrival
from .records import DeadLetter

#: A dead letter must itself fit on its topic, with room for its other fields.
MAX_KEPT_BYTES = 9 * 1024 * 1024
MAX_KEPT_HEADER_BYTES = 64 * 1024
#: A reason may quote what it is about.
MAX_REASON_CHARACTERS = 4000


def dead_letter_of(arrival: Arrival, key: bytes | None, reason: str, seen_at: int) -> DeadLetter:
    """The record as it came, with the reason; what is too large to be kept whole is cut and says so."""
    value, cut_value = _cut(arrival.value, MAX_KEPT_BYTES)
    kept_key, cut_key = _cut(key, MAX_KEPT_HEADER_BYTES)
    headers, cut_headers = _headers(arrival.headers)
    reason = reason[:MAX_REASON_CHARACTERS]
    if cut_value or cut_key or cut_headers:
        reason += " (too large to be kept whole here: the record itself stays where it lay)"
    return DeadLetter(
        topic=arrival.topic,
        partition=arrival.partition,
        offset=arrival.offset,
        timestamp=arrival.timestamp,
        key=kept_key,
        value=value,
        reason=reason,
        seen_at=seen_at,
        headers=headers,
    )


def _cut(content: bytes | None, most: int) -> tuple[bytes | None, bool]:
    if content is None or len(content) <= most:
        return content, False
    return content[:most], True


def _headers(headers: Sequence[tuple[str, bytes | None]]) -> tuple[dict[str, bytes], bool]:
    kept: dict[str, bytes] = {}
    room = MAX_KEPT_HEADER_BYTES
    for name, value in headers:
        room -= len(name) + len(value or b"")
        if room < 0:
            return kept, True
        kept[name] = value or b""
    return kept, False
