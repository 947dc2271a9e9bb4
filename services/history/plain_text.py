"""Values of strangers as any database, calendar and reader of JSON can hold them."""

from __future__ import annotations

import hashlib

import orjson

MAX_KEY_CHARACTERS = 200
#: The last millisecond of the year 9999.
LATEST_MOMENT = 253_402_300_799_999


def plain(text: str) -> str:
    """The text without NUL characters, which PostgreSQL cannot hold."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def bounded_key(text: str) -> str:
    """The text as part of a primary key: a long one keeps its beginning, and a hash of the whole."""
    if len(text) <= MAX_KEY_CHARACTERS:
        return plain(text)
    return plain(text[:128]) + "…" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def moment(millis: int) -> int:
    """A time that calendars know: what another tool wrote may lie anywhere."""
    return min(max(millis, 0), LATEST_MOMENT)


def json_text(text: str) -> str:
    """Text that every reader takes for JSON; what is none is kept as a JSON string."""
    text = plain(text)
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return orjson.dumps(text).decode()
    return text
