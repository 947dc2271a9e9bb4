"""Runs by any combination of conditions, in pages and counted.

In the order of arrival a list is merged from ranges of an index, one for each (function, status) or user: a rare
status among a million runs costs what a page costs. Other orders and conditions are a search (`scan.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from ..errors import InvalidInput
from ..expressions.query import EVENT_AND_OUTPUT, Query, compile_query
from ..messages.ids import is_ulid, ulid
from .event_content import decoded, event_content
from .paging import Counted, Found, Listed, PageRequest
from .plain_text import bounded_key, plain
from .reading import Reader
from .scan import Candidate, Scan
from .tables import events, functions, is_text, run_events, run_users, runs
from .text_search import holds_text

TimeField: TypeAlias = Literal["queued", "started", "ended"]
STATUSES = ("Running", "Completed", "Failed", "Cancelled", "Skipped", "Unknown")
MAX_NAMES = 100
MAX_TEXT_CHARACTERS = 1000
#: Counting stops here: "more than 200,000" says as much to people as the number.
COUNT_CAP = 200_000
#: Beyond it, (function, status) ranges are no longer merged, but searched in one.
_MAX_RANGES = 64


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs: every condition that is given must hold; of several statuses, functions or apps any.

    `since` ≤ the `time_field` < `until`, in milliseconds. `text` is looked for in the run's id, function, output and
    event; `cel` is a condition over `event` and `output`.
    """

    statuses: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    time_field: TimeField = "queued"
    since: int | None = None
    until: int | None = None
    user: str = ""
    text: str = ""
    cel: str = ""
    replay: str = ""
    parent: str = ""
    rerun_of: str = ""

    def __post_init__(self) -> None:
        unknown = [status for status in self.statuses if status not in STATUSES]
        if unknown:
            raise InvalidInput(f"status must be one of {', '.join(STATUSES)}, not {unknown[0][:40]!r}")
        if max(len(self.functions), len(self.apps)) > MAX_NAMES:
            raise InvalidInput(f"name at most {MAX_NAMES} functions or apps")
        if len(self.text) > MAX_TEXT_CHARACTERS:
            raise InvalidInput(f"text may have {MAX_TEXT_CHARACTERS} characters")


class RunList:
    """Answers for every filter; see `docs/architecture/history.md` for what each costs."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def page(
        self,
        wanted: RunFilter,
        request: PageRequest | None = None,
        order: TimeField = "queued",
        output: bool = False,
    ) -> Listed:
        """A page in the order of a moment; runs that have not reached it are left out. `output` adds that column."""
        source = self._source(wanted, order, output)
        request = request or PageRequest()
        _check_cursor(request.cursor, order)
        return Scan(source, self._reader.budget_seconds).page(request, "run_id")

    def count(self, wanted: RunFilter) -> Counted:
        """How many runs there are, up to `COUNT_CAP`, or as far as a bounded search comes."""
        source = self._source(wanted, "queued", False)
        if source.selective:
            return Scan(source, self._reader.budget_seconds).count()
        return sum((self._count_range(query) for query in source.capped_ranges()), Counted(0))

    def count_by_status(self, wanted: RunFilter) -> dict[str, Counted]:
        """The count for each status; the filter's own statuses do not matter."""
        return {status: self.count(replace(wanted, statuses=(status,))) for status in STATUSES}

    def _count_range(self, query: Select[Any]) -> Counted:
        found = self._reader.number(select(func.count()).select_from(query.subquery()))
        return Counted(min(found, COUNT_CAP), found <= COUNT_CAP)

    def _source(self, wanted: RunFilter, order: TimeField, output: bool) -> _RunSource:
        condition = compile_query(wanted.cel, EVENT_AND_OUTPUT) if wanted.cel.strip() else None
        return _RunSource(self._reader, wanted, self._functions(wanted), order, condition, output)

    def _functions(self, wanted: RunFilter) -> tuple[str, ...] | None:
        """The functions that are meant; None for any."""
        if not wanted.apps:
            return tuple(dict.fromkeys(map(plain, wanted.functions))) or None
        query = select(functions.c.key).where(functions.c.app.in_(wanted.apps))
        of_apps = {row.key for row in self._reader.all(query)}
        return tuple(sorted(of_apps & set(wanted.functions) if wanted.functions else of_apps))


class _RunSource:
    """The runs of a filter, in one order, for `Scan`."""

    def __init__(
        self,
        reader: Reader,
        wanted: RunFilter,
        of_functions: tuple[str, ...] | None,
        order: TimeField,
        condition: Query | None,
        output: bool,
    ) -> None:
        self._reader = reader
        self._order: TimeField = order
        self._condition = condition
        self._output = output
        self._ranges, rest = _ranges(wanted, of_functions, order)
        self._rest = [*rest, *_residual(wanted, order)]
        self._times = _between(wanted.since, wanted.until, order) if wanted.time_field == order else []

    @property
    def selective(self) -> bool:
        return bool(self._rest) or self._condition is not None

    @property
    def looks_inside(self) -> bool:
        return self._condition is not None

    def candidates(self, cursor: str, descending: bool, size: int) -> Sequence[Candidate]:
        found = self._reader.all(self._candidates(cursor, descending, size))
        if self._order == "queued":
            return [Candidate(row.run_id, row.run_id, bool(row.fits)) for row in found]
        return [Candidate(row.run_id, f"{row.moment}.{row.run_id}", bool(row.fits)) for row in found]

    def rows(self, ids: Sequence[str]) -> Sequence[Found]:
        look_inside = self._condition is not None
        query = run_query(self._output or look_inside, payload=look_inside).where(runs.c.run_id.in_(ids))
        by_id = {row.run_id: row for row in self._reader.all(query)}
        found = [by_id[run_id] for run_id in ids if run_id in by_id]
        if self._condition is None:
            return found
        now = time.time_ns() // 1_000_000
        return [row for row in found if self._condition.holds(_content(row), now)]

    def capped_ranges(self) -> Sequence[Select[Any]]:
        """Every range by itself, one row longer than is counted."""
        return [
            select(key).where(condition, *self._times_of(key)).limit(COUNT_CAP + 1) for condition, key in self._ranges
        ]

    def _times_of(self, key: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        return [condition(key) for condition in self._times]

    def _candidates(self, cursor: str, descending: bool, size: int) -> Select[Any]:
        parts = [self._part(condition, key, cursor, descending, size) for condition, key in self._ranges]
        merged = union_all(*(select(part.subquery()) for part in parts)) if len(parts) > 1 else parts[0]
        table = merged.subquery("candidates")
        order = [table.c.moment, table.c.run_id]
        first = select(table).order_by(*(_directed(column, descending) for column in order)).limit(size)
        if not self._rest:
            return first.add_columns(literal(1).label("fits"))
        limited = first.subquery("limited")
        fits = case((and_(*self._rest), 1), else_=0).label("fits")
        checked = select(limited.c.run_id, limited.c.moment, fits).join_from(
            limited, runs, runs.c.run_id == limited.c.run_id
        )
        return checked.order_by(*(_directed(limited.c[column.name], descending) for column in order))

    def _part(
        self, condition: ColumnElement[bool], key: ColumnElement[Any], cursor: str, descending: bool, size: int
    ) -> Select[Any]:
        """The next of one range."""
        queued = self._order == "queued"
        moment = literal(0) if queued else runs.c[f"{self._order}_at"]
        query = select(key.label("run_id"), moment.label("moment")).where(condition, *self._times_of(key))
        if cursor and queued:
            query = query.where(key < cursor if descending else key > cursor)
        elif cursor:
            millis, _, run_id = cursor.partition(".")
            place, reached = tuple_(moment, key), tuple_(literal(int(millis)), literal(run_id))
            query = query.where(place < reached if descending else place > reached)
        by = [key] if queued else [moment, key]
        return query.order_by(*(_directed(column, descending) for column in by)).limit(size)


def run_query(output: bool, payload: bool = False) -> Select[Any]:
    """A run with the first of its events; the event's content too, when asked for."""
    columns: list[ColumnElement[Any]] = [c for c in runs.columns if output or c.name != "output"]
    columns += [run_events.c.event_internal_id, events.c.name.label("event_name")]
    if payload:
        names = ("id", "data", "user", "ts", "v")
        columns += [events.c[name].label(f"event_{name}") for name in names]
    first = and_(run_events.c.run_id == runs.c.run_id, run_events.c.position == 0)
    source = runs.outerjoin(run_events, first)
    source = source.outerjoin(events, events.c.internal_id == run_events.c.event_internal_id)
    return select(*columns).select_from(source)


def _ranges(
    wanted: RunFilter, of_functions: tuple[str, ...] | None, order: TimeField
) -> tuple[list[tuple[ColumnElement[bool], ColumnElement[Any]]], list[ColumnElement[bool]]]:
    """Index ranges that together hold the runs, each with its key, and what they leave to be checked of each run."""
    status = runs.c.status.in_(wanted.statuses) if wanted.statuses else None
    function = or_(*(is_text(runs.c.function, name) for name in of_functions)) if of_functions else None
    rest = [condition for condition in (status, function) if condition is not None]
    whole = (true() if order != "ended" else runs.c.ended_at.is_not(None), runs.c.run_id)
    if of_functions == ():
        return [(false(), runs.c.run_id)], []
    if order != "queued":
        return [whole], [*rest, *_of_user(wanted), *_relations(wanted)]
    if wanted.text and is_ulid(wanted.text.strip()):
        return [(_by_id(wanted.text.strip()), runs.c.run_id)], [*rest, *_of_user(wanted), *_relations(wanted)]
    if relations := _relations(wanted):
        return [(and_(*relations), runs.c.run_id)], [*rest, *_of_user(wanted)]
    if wanted.user:
        return [(run_users.c.user_name == bounded_key(wanted.user), run_users.c.run_id)], rest
    pairs = _pairs(of_functions or (None,), wanted.statuses or (STATUSES if of_functions else (None,)))
    if len(pairs) > _MAX_RANGES:
        return [whole], rest
    return [(_pair(function_key, one), runs.c.run_id) for function_key, one in pairs], []


def _pairs(names: Sequence[str | None], statuses: Sequence[str | None]) -> list[tuple[str | None, str | None]]:
    return [(name, status) for name in dict.fromkeys(names) for status in dict.fromkeys(statuses)]


def _pair(function: str | None, status: str | None) -> ColumnElement[bool]:
    parts = [is_text(runs.c.function, function)] if function is not None else []
    parts += [runs.c.status == status] if status is not None else []
    return and_(true(), *parts)


def _of_user(wanted: RunFilter) -> list[ColumnElement[bool]]:
    if not wanted.user:
        return []
    name = run_users.c.user_name == bounded_key(wanted.user)
    return [exists().where(name, run_users.c.run_id == runs.c.run_id)]


def _relations(wanted: RunFilter) -> list[ColumnElement[bool]]:
    columns = {"parent_run": wanted.parent, "rerun_of": wanted.rerun_of, "replay": wanted.replay}
    # The partial index of each is known to the database by the second condition.
    return [and_(runs.c[name] == plain(value), runs.c[name] != "") for name, value in columns.items() if value]


def _by_id(text: str) -> ColumnElement[bool]:
    of_event = select(run_events.c.run_id).where(run_events.c.event_internal_id == text)
    return or_(runs.c.run_id == text, runs.c.run_id.in_(of_event))


def _residual(wanted: RunFilter, order: TimeField) -> list[ColumnElement[bool]]:
    """Conditions that no range holds."""
    conditions: list[ColumnElement[bool]] = []
    text = plain(wanted.text.strip())
    if text and is_ulid(text) and order != "queued":
        conditions.append(_by_id(text))
    elif text and not is_ulid(text):
        conditions.append(_holds(text))
    if wanted.time_field != order:
        conditions += [
            condition(runs.c.run_id) for condition in _between(wanted.since, wanted.until, wanted.time_field)
        ]
    return conditions


def _holds(text: str) -> ColumnElement[bool]:
    event = select(events.c.internal_id).join(run_events, run_events.c.event_internal_id == events.c.internal_id)
    event = event.where(
        run_events.c.run_id == runs.c.run_id,
        or_(*(holds_text(events.c[name], text) for name in ("name", "id", "data", "user"))),
    )
    return or_(
        runs.c.run_id == text,
        holds_text(runs.c.function, text),
        holds_text(runs.c.output, text),
        event.exists(),
    )


class _Bound:
    """One end of a time, as a condition on a run's key or row."""

    def __init__(self, moment: TimeField, millis: int, upper: bool) -> None:
        self._moment, self._millis, self._upper = moment, millis, upper

    def __call__(self, key: ColumnElement[Any]) -> ColumnElement[bool]:
        """A run's id begins with when it was queued."""
        if self._moment == "queued":
            bound = ulid(self._millis, bytes(10))
            return key < bound if self._upper else key >= bound
        column = runs.c[f"{self._moment}_at"]
        return column < self._millis if self._upper else column >= self._millis


def _between(since: int | None, until: int | None, moment: TimeField) -> list[_Bound]:
    bounds = [_Bound(moment, since, upper=False)] if since is not None else []
    return bounds + ([_Bound(moment, until, upper=True)] if until is not None else [])


def _directed(column: ColumnElement[Any], descending: bool) -> ColumnElement[Any]:
    return column.desc() if descending else column.asc()


def _check_cursor(cursor: str, order: TimeField) -> None:
    millis, _, run_id = cursor.rpartition(".")
    time_fits = millis == "" if order == "queued" else millis.isascii() and millis.isdigit() and len(millis) < 19
    if cursor and not (is_ulid(run_id) and time_fits):
        raise InvalidInput(f"cursor must be one that a page in the order {order!r} gave, not {cursor[:60]!r}")


def _content(row: Found) -> dict[str, object]:
    """An event that history does not hold has nothing in it."""
    event: dict[str, object] = {}
    if row.event_name is not None:
        event_id = row.event_id or row.event_internal_id
        event = event_content(event_id, row.event_name, row.event_data, row.event_user, row.event_ts, row.event_v)
    return {"event": event, "output": decoded(row.output)}
