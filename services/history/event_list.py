"""Events by any combination of conditions, and what became of one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select, true, union_all

from ..errors import InvalidInput
from ..expressions.query import EVENT, Query, compile_query
from ..messages.ids import is_ulid, ulid
from ..messages.incoming import RESERVED_PREFIX
from .event_content import event_content
from .paging import Counted, Found, Listed, PageRequest
from .plain_text import bounded_key, plain
from .reading import Reader
from .run_list import COUNT_CAP, MAX_NAMES, MAX_TEXT_CHARACTERS, run_query
from .scan import Candidate, Scan
from .tables import event_users, events, indexed, is_text, run_events, runs, steps
from .text_search import holds_text

MAX_RUNS = 1000
#: An internal id holds about the time of reception: its sender may have drawn it by another clock.
_ID_DIFFERENCE_MS = 24 * 3600 * 1000
_MAX_DISTINCT = 1000


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: every condition that is given must hold; of several names any.

    `since` ≤ received < `until`, in milliseconds. `internal` False leaves the system's own out. `text` is looked for
    in id, name, data and user; `cel` is a condition over `event`.
    """

    names: tuple[str, ...] = ()
    internal: bool = True
    since: int | None = None
    until: int | None = None
    user: str = ""
    text: str = ""
    cel: str = ""

    def __post_init__(self) -> None:
        if len(self.names) > MAX_NAMES:
            raise InvalidInput(f"name at most {MAX_NAMES} events")
        if len(self.text) > MAX_TEXT_CHARACTERS:
            raise InvalidInput(f"text may have {MAX_TEXT_CHARACTERS} characters")


class EventList:
    """Answers for every filter, and for one event."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def page(self, wanted: EventFilter, request: PageRequest | None = None) -> Listed:
        """Newest first; the cursor is an internal id."""
        request = request or PageRequest()
        if request.cursor and not is_ulid(request.cursor):
            raise InvalidInput(f"cursor must be the id (a ULID) of the last item you have, not {request.cursor[:40]!r}")
        return Scan(self._source(wanted), self._reader.budget_seconds).page(request, "internal_id")

    def count(self, wanted: EventFilter) -> Counted:
        """How many events there are, up to `COUNT_CAP`, or as far as a bounded search comes."""
        source = self._source(wanted)
        if source.selective:
            return Scan(source, self._reader.budget_seconds).count()
        return sum((self._count_range(query) for query in source.capped_ranges()), Counted(0))

    def one(self, event_id: str) -> Found | None:
        """The event with this internal id, or else the newest with this id of a producer."""
        by_internal_id = select(events).where(events.c.internal_id == plain(event_id))
        by_id = select(events).where(is_text(events.c.id, plain(event_id)))
        newest = by_id.order_by(events.c.internal_id.desc()).limit(1)
        return self._reader.first(by_internal_id) or self._reader.first(newest)

    def runs_started(self, event_id: str) -> Sequence[Found]:
        """Runs that the event started, by its internal id or a producer's; oldest first."""
        by_id = select(events.c.internal_id).where(is_text(events.c.id, plain(event_id)))
        found = self._reader.all(by_id.order_by(events.c.internal_id.desc()).limit(MAX_RUNS))
        event_ids = [bounded_key(event_id), *(row.internal_id for row in found)]
        wanted = select(run_events.c.run_id).where(run_events.c.event_internal_id.in_(event_ids))
        query = run_query(output=True).where(runs.c.run_id.in_(wanted))
        return self._reader.all(query.order_by(runs.c.run_id).limit(MAX_RUNS))

    def runs_resumed(self, internal_id: str) -> Sequence[Found]:
        """Runs with the steps that the event gave their result; oldest first."""
        step = [steps.c.step_id, steps.c.name.label("step_name"), steps.c.op.label("step_op")]
        query = run_query(output=False).add_columns(*step).join(steps, steps.c.run_id == runs.c.run_id)
        query = query.where(steps.c.source == bounded_key(internal_id), steps.c.source != "")
        return self._reader.all(query.order_by(runs.c.run_id, steps.c.step_id).limit(MAX_RUNS))

    def names(self, prefix: str = "", limit: int = 100) -> list[str]:
        """Names of events there are, in alphabetical order; each is found by one step in the index."""
        found: list[str] = []
        name, after = indexed(str(events.c.name)), ""
        while len(found) < min(limit, _MAX_DISTINCT):
            query = select(func.min(name)).select_from(events).where(name > after)
            query = query.where(name >= prefix, name < prefix + "\U0010ffff") if prefix else query
            row = self._reader.first(query)
            if row is None or row[0] is None:
                break
            after = row[0]
            found.append(after)
        return found

    def _count_range(self, query: Select[Any]) -> Counted:
        found = self._reader.number(select(func.count()).select_from(query.subquery()))
        return Counted(min(found, COUNT_CAP), found <= COUNT_CAP)

    def _source(self, wanted: EventFilter) -> _EventSource:
        condition = compile_query(wanted.cel, EVENT) if wanted.cel.strip() else None
        return _EventSource(self._reader, wanted, condition)


class _EventSource:
    """The events of a filter for `Scan`, in the order of their internal ids."""

    def __init__(self, reader: Reader, wanted: EventFilter, condition: Query | None) -> None:
        self._reader = reader
        self._condition = condition
        self._ranges, self._rest = _ranges(wanted)
        self._since, self._until = wanted.since, wanted.until

    @property
    def selective(self) -> bool:
        return bool(self._rest) or self._condition is not None

    @property
    def looks_inside(self) -> bool:
        return self._condition is not None

    def candidates(self, cursor: str, descending: bool, size: int) -> Sequence[Candidate]:
        found = self._reader.all(self._candidates(cursor, descending, size))
        return [Candidate(row.internal_id, row.internal_id, bool(row.fits)) for row in found]

    def rows(self, ids: Sequence[str]) -> Sequence[Found]:
        found = self._reader.all(select(events).where(events.c.internal_id.in_(ids)))
        by_id = {row.internal_id: row for row in found}
        in_order = [by_id[event_id] for event_id in ids if event_id in by_id]
        if self._condition is None:
            return in_order
        now = time.time_ns() // 1_000_000
        return [row for row in in_order if self._condition.holds({"event": _content(row)}, now)]

    def capped_ranges(self) -> Sequence[Select[Any]]:
        """Every range by itself, one row longer than is counted."""
        return [select(key).where(condition, *self._times(key)).limit(COUNT_CAP + 1) for condition, key in self._ranges]

    def _candidates(self, cursor: str, descending: bool, size: int) -> Select[Any]:
        parts = [self._part(condition, key, cursor, descending, size) for condition, key in self._ranges]
        merged = union_all(*(select(part.subquery()) for part in parts)) if len(parts) > 1 else parts[0]
        table = merged.subquery("candidates")
        first = select(table).order_by(_directed(table.c.internal_id, descending)).limit(size)
        if not self._rest:
            return first.add_columns(literal(1).label("fits"))
        limited = first.subquery("limited")
        fits = case((and_(*self._rest), 1), else_=0).label("fits")
        checked = select(limited.c.internal_id, fits).join_from(
            limited, events, events.c.internal_id == limited.c.internal_id
        )
        return checked.order_by(_directed(limited.c.internal_id, descending))

    def _part(
        self, condition: ColumnElement[bool], key: ColumnElement[Any], cursor: str, descending: bool, size: int
    ) -> Select[Any]:
        query = select(key.label("internal_id")).where(condition, *self._times(key))
        if cursor:
            query = query.where(key < cursor if descending else key > cursor)
        return query.order_by(_directed(key, descending)).limit(size)

    def _times(self, key: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        """Bounds of the ids that can have been received between the two times."""
        bounds: list[ColumnElement[bool]] = []
        if self._since is not None:
            bounds.append(key >= ulid(self._since - _ID_DIFFERENCE_MS, bytes(10)))
        if self._until is not None:
            bounds.append(key < ulid(self._until + _ID_DIFFERENCE_MS, bytes(10)))
        return bounds


def _ranges(
    wanted: EventFilter,
) -> tuple[list[tuple[ColumnElement[bool], ColumnElement[Any]]], list[ColumnElement[bool]]]:
    """Index ranges that together hold the events, each with its key, and what is left to be checked of each event."""
    names = [is_text(events.c.name, plain(name)) for name in dict.fromkeys(wanted.names)]
    rest = _residual(wanted)
    if wanted.user:
        by_user = (event_users.c.user_name == bounded_key(wanted.user), event_users.c.internal_id)
        return [by_user], [*rest, or_(*names)] if names else rest
    if wanted.text and is_ulid(wanted.text.strip()):
        text = plain(wanted.text.strip())
        by_id = or_(events.c.internal_id == text, is_text(events.c.id, text))
        return [(by_id, events.c.internal_id)], [*rest, or_(*names)] if names else rest
    return [(condition, events.c.internal_id) for condition in names or [true()]], rest


def _residual(wanted: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(events.c.received_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(events.c.received_at < wanted.until)
    if not wanted.internal:
        conditions.append(or_(events.c.name < RESERVED_PREFIX, events.c.name >= RESERVED_PREFIX[:-1] + "0"))
    text = plain(wanted.text.strip())
    if text and not is_ulid(text):
        searched = (holds_text(events.c[name], text) for name in ("name", "id", "data", "user"))
        conditions.append(or_(events.c.internal_id == text, *searched))
    return conditions


def _content(row: Found) -> dict[str, object]:
    return event_content(row.id or row.internal_id, row.name, row.data, row.user, row.ts, row.v)


def _directed(column: ColumnElement[Any], descending: bool) -> ColumnElement[Any]:
    return column.desc() if descending else column.asc()
