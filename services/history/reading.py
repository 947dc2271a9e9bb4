"""How every question to the read model is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import CompoundSelect, Engine, Select
from sqlalchemy.exc import DBAPIError, TimeoutError

from ..errors import Unavailable
from .paging import Found

Query: TypeAlias = Select[Any] | CompoundSelect[Any]

#: What a search may take, so that its answer is there within 150 ms on a machine that has other things to do.
BUDGET_SECONDS = 0.06


class Reader:
    """Asks the database, a connection of a small pool at a time."""

    def __init__(self, engine: Engine, budget_seconds: float = BUDGET_SECONDS) -> None:
        self._engine = engine
        self.budget_seconds = budget_seconds

    def all(self, query: Query) -> Sequence[Found]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except (DBAPIError, TimeoutError) as error:
            raise Unavailable(
                "the history database does not answer: is `penstock history` running? Try again in a moment"
            ) from error

    def first(self, query: Query) -> Found | None:
        found = self.all(query)
        return found[0] if found else None

    def number(self, query: Query) -> int:
        """The one number that a query gives; 0 for nothing."""
        found = self.first(query)
        return int(found[0] or 0) if found is not None else 0
