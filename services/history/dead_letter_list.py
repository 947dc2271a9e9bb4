"""Records that could not be used, with their reasons."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select

from ..errors import InvalidInput
from ..messages.ids import is_ulid, ulid
from .paging import Counted, Found, Listed, PageRequest, page_of
from .plain_text import plain
from .reading import Reader
from .run_list import COUNT_CAP, MAX_TEXT_CHARACTERS
from .tables import dead_letters
from .text_search import holds_text


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; times are those of the records, `text` is looked for in the reason."""

    topic: str = ""
    text: str = ""
    since: int | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        if len(self.text) > MAX_TEXT_CHARACTERS:
            raise InvalidInput(f"text may have {MAX_TEXT_CHARACTERS} characters")


class DeadLetterList:
    """All that history saw."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def page(self, wanted: DeadLetterFilter, request: PageRequest | None = None) -> Listed:
        """Newest first, by the time of the record; the cursor is an id."""
        request = request or PageRequest()
        if request.cursor and not is_ulid(request.cursor):
            raise InvalidInput(f"cursor must be the id of the last dead letter you have, not {request.cursor[:40]!r}")
        key = dead_letters.c.id
        query = select(dead_letters).where(*_conditions(wanted))
        if request.cursor:
            query = query.where(key < request.cursor if request.descending else key > request.cursor)
        query = query.order_by(key.desc() if request.descending else key.asc()).limit(request.limit + 1)
        return page_of(self._reader.all(query), request, lambda row: str(row.id))

    def count(self, wanted: DeadLetterFilter) -> Counted:
        capped = select(dead_letters.c.id).where(*_conditions(wanted)).limit(COUNT_CAP + 1)
        found = self._reader.number(select(func.count()).select_from(capped.subquery()))
        return Counted(min(found, COUNT_CAP), found <= COUNT_CAP)

    def one(self, letter_id: str) -> Found | None:
        return self._reader.first(select(dead_letters).where(dead_letters.c.id == plain(letter_id)))


def _conditions(wanted: DeadLetterFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.topic:
        conditions.append(dead_letters.c.topic == plain(wanted.topic))
    if wanted.since is not None:
        conditions.append(dead_letters.c.id >= ulid(wanted.since, bytes(10)))
    if wanted.until is not None:
        conditions.append(dead_letters.c.id < ulid(wanted.until, bytes(10)))
    if text := plain(wanted.text.strip()):
        searched = (holds_text(dead_letters.c[name], text) for name in ("reason", "topic"))
        conditions.append(or_(dead_letters.c.id == text, *searched))
    return conditions
