"""What people type into the filters, as questions to history; and the same filters again as a link.

One search field takes everything: an id is gone to, a CEL expression over `event` and `output` is evaluated, anything
else is looked for as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request

from ..errors import InvalidInput
from ..history.paging import Listed
from ..messages.ids import is_ulid

RUN_STATUSES = ("Running", "Completed", "Failed", "Cancelled", "Skipped")
#: How far back, by the words of the page.
PERIODS = {
    "15m": 15 * 60_000,
    "1h": 3_600_000,
    "24h": 24 * 3_600_000,
    "7d": 7 * 86_400_000,
    "30d": 30 * 86_400_000,
}
ORDERS = ("queued", "started", "ended")
PAGE = 50
MAX_CHARACTERS = 4096

_CEL = re.compile(r"\b(?:event|output)\s*(?:[.\[]|==|!=|<|>|in\b)|\bhas\s*\(")


@dataclass(frozen=True, slots=True)
class Search:
    """A list's filters as they stand in its address."""

    statuses: tuple[str, ...]
    functions: tuple[str, ...]
    apps: tuple[str, ...]
    names: tuple[str, ...]
    internal: bool
    period: str
    since: int | None
    until: int | None
    user: str
    query: str
    replay: str
    order: str
    cursor: str
    limit: int

    @property
    def cel(self) -> str:
        return self.query if is_cel(self.query) else ""

    @property
    def text(self) -> str:
        return "" if is_cel(self.query) else self.query

    @property
    def narrowed(self) -> bool:
        """True when anything is filtered out."""
        filters = (self.statuses, self.functions, self.apps, self.names, self.user, self.query, self.replay)
        return any(filters) or self.since is not None or self.until is not None

    @property
    def jump(self) -> str:
        """The id that was typed, if it is one."""
        return self.query.strip() if is_ulid(self.query.strip()) else ""


def search(query: QueryParams, now: int) -> Search:
    """Read an address; raises `InvalidInput` with the field that cannot be used."""
    period = query.get("period", "")
    if period and period not in PERIODS:
        raise InvalidInput(f"period must be one of {', '.join(PERIODS)}, not {period[:40]!r}")
    since = now - PERIODS[period] if period else moment(query.get("from", ""), "from")
    return Search(
        statuses=_statuses(query.getlist("status")),
        functions=_texts(query.getlist("function")),
        apps=_texts(query.getlist("app")),
        names=_texts(query.getlist("name")),
        internal=query.get("internal", "") in ("1", "true", "on"),
        period=period,
        since=since,
        until=moment(query.get("to", ""), "to"),
        user=_text(query.get("user", ""), "user"),
        query=_text(query.get("q", ""), "search"),
        replay=_text(query.get("replay", ""), "replay"),
        order=_order(query.get("order", "")),
        cursor=query.get("cursor", "")[:MAX_CHARACTERS],
        limit=PAGE,
    )


def is_cel(query: str) -> bool:
    """True when the search is an expression."""
    return _CEL.search(query) is not None


def moment(text: str, field: str) -> int | None:
    """Milliseconds of a time as a date field or a person writes it; UTC where it does not say."""
    if not text:
        return None
    try:
        if text.isascii() and text.isdigit() and len(text) < 16:
            return int(text)
        found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{field} must be a time such as 2026-08-31T12:00, not {text[:40]!r}") from error


def link(path: str, query: Mapping[str, str] | Iterable[tuple[str, str]], **changed: str) -> str:
    """The path with these filters; an empty value takes one away."""
    pairs = list(query.items()) if isinstance(query, Mapping) else list(query)
    kept = [(key, value) for key, value in pairs if value and key not in changed]
    kept += [(key, value) for key, value in changed.items() if value]
    return f"{path}?{urlencode(kept)}" if kept else path


def older_link(path: str, request: Request, listed: Listed) -> str:
    """To the page behind this one; empty when nothing follows."""
    if not listed.next_cursor:
        return ""
    return link(path, request.query_params.multi_items(), cursor=listed.next_cursor)


def _statuses(given: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(status.capitalize() for status in given if status))
    unknown = [status for status in found if status not in RUN_STATUSES]
    if unknown:
        raise InvalidInput(f"status must be one of {', '.join(RUN_STATUSES)}, not {unknown[0][:40]!r}")
    return found


def _texts(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_text(text, "filter") for text in given if text))[:20]


def _text(text: str, field: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(f"{field} has {len(text)} characters; {MAX_CHARACTERS} are allowed")
    return text.strip()


def _order(text: str) -> str:
    if text and text not in ORDERS:
        raise InvalidInput(f"order must be one of {', '.join(ORDERS)}, not {text[:40]!r}")
    return text or "queued"
