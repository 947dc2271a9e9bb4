"""Payloads as conditions see them, decoded. Pure."""

from __future__ import annotations

import orjson


def event_content(
    event_id: str, name: str, data: str | None, user: str | None, ts: int, v: str | None
) -> dict[str, object]:
    """The event in the shape that trigger expressions see too."""
    content: dict[str, object] = {
        "id": event_id,
        "name": name,
        "data": decoded(data) or {},
        "user": decoded(user) or {},
        "ts": ts,
    }
    return content if v is None else content | {"v": v}


def decoded(text: str | None) -> object:
    """The value of a JSON text; the text itself when it is none."""
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
