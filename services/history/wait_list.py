"""What runs wait for: events, signals, other runs, dates, the next attempt."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, literal, or_, select, tuple_

from ..errors import InvalidInput
from .paging import Counted, Found, Listed, PageRequest, page_of
from .plain_text import plain
from .reading import Reader
from .run_list import COUNT_CAP, MAX_TEXT_CHARACTERS
from .tables import is_text, jobs, runs
from .text_search import holds_text

KINDS = ("call", "sleep", "wait", "signal", "invoke", "request", "cancel")
_SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class WaitFilter:
    """Which waits; `text` is looked for in the run's id, the step's name and what is waited for."""

    kinds: tuple[str, ...] = ()
    function: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise InvalidInput(f"kind must be one of {', '.join(KINDS)}, not {unknown[0][:40]!r}")
        if len(self.text) > MAX_TEXT_CHARACTERS:
            raise InvalidInput(f"text may have {MAX_TEXT_CHARACTERS} characters")


class WaitList:
    """Pending work of runs that have not ended."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def page(self, wanted: WaitFilter, request: PageRequest | None = None) -> Listed:
        """Soonest due first, whatever direction the request names."""
        request = request or PageRequest()
        place = tuple_(jobs.c.due_at, jobs.c.run_id, jobs.c.job_id)
        query = select(jobs, runs.c.function, runs.c.received_at, runs.c.started_at).join(
            runs, runs.c.run_id == jobs.c.run_id
        )
        query = query.where(runs.c.ended_at.is_(None), *_conditions(wanted))
        if request.cursor:
            due_at, run_id, job_id = _place(request.cursor)
            query = query.where(place > tuple_(literal(due_at), literal(run_id), literal(job_id)))
        query = query.order_by(jobs.c.due_at, jobs.c.run_id, jobs.c.job_id).limit(request.limit + 1)
        return page_of(self._reader.all(query), request, _cursor)

    def counts(self) -> dict[str, Counted]:
        """How many there are of each kind, up to a bound."""
        return {kind: self._count(kind) for kind in KINDS}

    def _count(self, kind: str) -> Counted:
        capped = select(jobs.c.job_id).where(jobs.c.kind == kind).limit(COUNT_CAP + 1)
        found = self._reader.number(select(func.count()).select_from(capped.subquery()))
        return Counted(min(found, COUNT_CAP), found <= COUNT_CAP)


def _conditions(wanted: WaitFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.kinds:
        conditions.append(jobs.c.kind.in_(wanted.kinds))
    if wanted.function:
        conditions.append(is_text(runs.c.function, plain(wanted.function)))
    if text := plain(wanted.text.strip()):
        searched = (holds_text(jobs.c[name], text) for name in ("name", "detail"))
        conditions.append(or_(jobs.c.run_id == text, *searched))
    return conditions


def _cursor(row: Found) -> str:
    return _SEPARATOR.join((str(row.due_at), row.run_id, row.job_id))


def _place(cursor: str) -> tuple[int, str, str]:
    due_at, _, rest = cursor.partition(_SEPARATOR)
    run_id, _, job_id = rest.partition(_SEPARATOR)
    if not (due_at.isascii() and due_at.isdigit() and len(due_at) < 19 and run_id):
        raise InvalidInput(f"cursor must be one that a page of waits gave, not {cursor[:60]!r}")
    return int(due_at), run_id, job_id
