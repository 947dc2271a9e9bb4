"""Long answers in pages, and counts that know their bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Row

from ..errors import InvalidInput

Found: TypeAlias = Row[Any]
MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list: `limit` items behind `cursor`, which an earlier page named; newest first by default."""

    limit: int = 20
    cursor: str = ""
    descending: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_PAGE:
            raise InvalidInput(f"limit must be from 1 to {MAX_PAGE}, not {self.limit}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A page. `next_cursor` is empty when nothing follows.

    `complete` is False when the search used up its time before the page was full: ask on with `next_cursor`.
    """

    rows: Sequence[Found]
    next_cursor: str = ""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Counted:
    """How many; when not `exact`, at least that many."""

    count: int
    exact: bool = True

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.count + other.count, self.exact and other.exact)


def page_of(rows: Sequence[Found], request: PageRequest, cursor_of: Callable[[Found], str]) -> Listed:
    """A page of a query that asked for one row more than `request` does."""
    kept = rows[: request.limit]
    return Listed(kept, cursor_of(kept[-1]) if len(rows) > request.limit else "")
