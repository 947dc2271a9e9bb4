"""Functions and apps, as they are registered now, and the versions that a function had."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from .paging import Found
from .plain_text import plain
from .reading import Reader
from .tables import apps, function_versions, functions

MAX_VERSIONS = 200


class FunctionList:
    """All functions."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def all(self, app: str = "", archived: bool = False) -> Sequence[Found]:
        """By key; of one app when it is named; archived ones only when asked for."""
        query = select(functions).order_by(functions.c.key)
        query = query.where(functions.c.app == plain(app)) if app else query
        return self._reader.all(query if archived else query.where(functions.c.archived.is_(False)))

    def one(self, key: str) -> Found | None:
        """A function by its key, also an archived one."""
        return self._reader.first(select(functions).where(functions.c.key == plain(key)))

    def versions(self, key: str) -> Sequence[Found]:
        """The configurations that a function had, the latest first, as far as history saw them."""
        query = select(function_versions).where(function_versions.c.key == plain(key))
        return self._reader.all(query.order_by(function_versions.c.version.desc()).limit(MAX_VERSIONS))


class AppList:
    """All apps."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def all(self) -> Sequence[Found]:
        return self._reader.all(select(apps).order_by(apps.c.name))

    def one(self, name: str) -> Found | None:
        return self._reader.first(select(apps).where(apps.c.name == plain(name)))
