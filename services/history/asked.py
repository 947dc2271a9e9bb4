"""What a request asks for, read from its query: validated, bounded, and refused with what to write instead.

list      limit, cursor, direction=desc|asc
runs      status, function, app (each may be given several times), time_field=queued|started|ended, from, until,
          user, text, cel, replay, parent, rerun_of, order
events    name (several times), internal, from, until (also received_after, received_before), user, text, cel
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import cast

from starlette.datastructures import QueryParams

from ..errors import InvalidInput
from .dead_letter_list import DeadLetterFilter
from .event_list import EventFilter
from .paging import PageRequest
from .run_list import STATUSES, RunFilter, TimeField
from .wait_list import WaitFilter

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_TEXT = 4096
#: Statuses that clients may ask for although no run of history ever has them.
NEVER_STORED = ("Scheduled", "Overflowed")


def page_request(query: QueryParams) -> PageRequest:
    return PageRequest(
        whole_number(query, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT), text(query, "cursor"), descending(query)
    )


def run_filter(query: QueryParams) -> RunFilter:
    return RunFilter(
        statuses=tuple(map(_status, texts(query, "status"))),
        functions=texts(query, "function"),
        apps=texts(query, "app"),
        time_field=time_field(query, "time_field"),
        since=moment(query, "from"),
        until=moment(query, "until"),
        user=text(query, "user"),
        text=text(query, "text"),
        cel=text(query, "cel"),
        replay=text(query, "replay"),
        parent=text(query, "parent"),
        rerun_of=text(query, "rerun_of"),
    )


def event_filter(query: QueryParams) -> EventFilter:
    since, until = moment(query, "from"), moment(query, "until")
    return EventFilter(
        names=texts(query, "name"),
        internal=choice(query, "internal", ("true", "false"), "true") == "true",
        since=moment(query, "received_after") if since is None else since,
        until=moment(query, "received_before") if until is None else until,
        user=text(query, "user"),
        text=text(query, "text"),
        cel=text(query, "cel"),
    )


def wait_filter(query: QueryParams) -> WaitFilter:
    return WaitFilter(texts(query, "kind"), text(query, "function"), text(query, "text"))


def dead_letter_filter(query: QueryParams) -> DeadLetterFilter:
    return DeadLetterFilter(text(query, "topic"), text(query, "text"), moment(query, "from"), moment(query, "until"))


def window(query: QueryParams) -> tuple[int, int]:
    """From and until, by default the last 24 hours."""
    until = moment(query, "until")
    until = time.time_ns() // 1_000_000 if until is None else until
    since = moment(query, "from")
    return (max(until - 24 * 3600 * 1000, 0) if since is None else since), until


def time_field(query: QueryParams, name: str) -> TimeField:
    return cast(TimeField, choice(query, name, ("queued", "started", "ended"), "queued"))


def descending(query: QueryParams) -> bool:
    return choice(query, "direction", ("desc", "asc"), "desc") == "desc"


def choice(query: QueryParams, name: str, allowed: tuple[str, ...], default: str) -> str:
    given = text(query, name) or default
    if given not in allowed:
        raise InvalidInput(f"{name} must be {' or '.join(allowed)}, not {given[:40]!r}")
    return given


def text(query: QueryParams, name: str) -> str:
    given = query.get(name) or ""
    if len(given) > MAX_TEXT:
        raise InvalidInput(f"{name} has {len(given)} characters; {MAX_TEXT} are allowed")
    return given


def texts(query: QueryParams, name: str) -> tuple[str, ...]:
    given = tuple(value for value in query.getlist(name) if value)
    if any(len(value) > MAX_TEXT for value in given):
        raise InvalidInput(f"a {name} may have {MAX_TEXT} characters")
    return given


def whole_number(query: QueryParams, name: str, default: int, least: int, most: int) -> int:
    given = query.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) < 10 and least <= int(given) <= most):
        raise InvalidInput(f"{name} must be a whole number from {least} to {most}, not {given[:40]!r}")
    return int(given)


def moment(query: QueryParams, name: str) -> int | None:
    """Milliseconds of an RFC 3339 time, or of milliseconds since 1970."""
    given = query.get(name)
    return millis(given, name) if given else None


def millis(given: str, name: str) -> int:
    try:
        if given.isascii() and given.isdigit() and len(given) < 16:
            return int(given)
        # In a query, an unescaped `+` of a time zone arrives as a space.
        found = datetime.fromisoformat(given.replace(" ", "+") if "T" in given else given)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{name} must be a time such as 2026-08-31T12:00:00Z, not {given[:40]!r}") from error


def _status(given: str) -> str:
    known = {status.lower(): status for status in (*STATUSES, *NEVER_STORED)}
    if given.lower() not in known:
        raise InvalidInput(f"status must be one of {', '.join(STATUSES)}, not {given[:40]!r}")
    return known[given.lower()]
