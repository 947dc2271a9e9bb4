"""Looking for a text in a column, whatever its capitals.

SQLite's `LIKE` does not tell capitals of ASCII apart, PostgreSQL has a word of its own for that; to lower-case every
value would cost more than the search.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_ESCAPE = "~"


class _Holds(FunctionElement[bool]):
    """`column LIKE pattern`, in the words of each database."""

    type = Boolean()
    inherit_cache = True


def holds_text(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """True for values with `text` in them; none of its characters means anything but itself."""
    escaped = text
    for character in (_ESCAPE, "%", "_"):
        escaped = escaped.replace(character, _ESCAPE + character)
    return _Holds(column, literal(f"%{escaped}%"))


@compiles(_Holds)
def _ilike(element: _Holds, compiler: SQLCompiler, **options: Any) -> str:
    return _written(element, compiler, "ILIKE", **options)


@compiles(_Holds, "sqlite")
def _like(element: _Holds, compiler: SQLCompiler, **options: Any) -> str:
    return _written(element, compiler, "LIKE", **options)


def _written(element: _Holds, compiler: SQLCompiler, operator: str, **options: Any) -> str:
    column, pattern = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} {operator} {pattern} ESCAPE '{_ESCAPE}'"
