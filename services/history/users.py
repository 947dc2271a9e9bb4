"""Whom an event concerns: the names under which people look for a user's events and runs. Pure.

An event names its user in `user.id`, `user.external_id` and `user.email`; an installation may add one path of its own,
such as `data.customer_id`. Each name that is a text or a whole number counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from .plain_text import bounded_key

_USER_KEYS = ("id", "external_id", "email")
_EMPTY_USER = '"user":{}'


class _Payloads(msgspec.Struct):
    user: object = None
    data: msgspec.Raw = msgspec.Raw(b"null")


_decoder = msgspec.json.Decoder(_Payloads)


@dataclass(frozen=True, slots=True)
class UserNames:
    """Finds the names; `path` is the installation's own, empty for none."""

    path: tuple[str, ...] = ()

    @classmethod
    def at(cls, path: str) -> UserNames:
        """With a path as the settings write it: `data.customer_id`."""
        return cls(tuple(path.split(".")) if path else ())

    def of_payloads(self, user: str, data: str) -> tuple[str, ...]:
        """The names in an event's `user` and `data`, both JSON texts."""
        if user == "{}" and not self.path:
            return ()
        return self._of(_json(user), data)

    def of_event(self, text: str) -> tuple[str, ...]:
        """The names in an event's whole JSON text, as runs hold it."""
        # Most events have no user, and then the key stands there once, with nothing in it.
        if not self.path and text.count('"user":') == 1 and _EMPTY_USER in text:
            return ()
        try:
            found = _decoder.decode(text)
        except msgspec.DecodeError:
            return ()
        return self._of(found.user, bytes(found.data))

    def _of(self, user: object, data: str | bytes) -> tuple[str, ...]:
        values: list[object] = [user.get(key) for key in _USER_KEYS] if isinstance(user, dict) else []
        if self.path:
            root, *rest = self.path
            values.append(_at(user if root == "user" else _json(data), rest))
        return tuple(dict.fromkeys(_names(values)))


def _names(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            yield bounded_key(str(value))


def _at(value: object, path: Iterable[str]) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _json(text: str | bytes) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
