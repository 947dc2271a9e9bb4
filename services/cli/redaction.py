"""What real events must lose before they leave their cluster: values at some paths, or whatever a hook takes out."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from ..errors import InvalidInput

Json = dict[str, object]
Redact = Callable[[Json], Json | None]
"""Takes an event, gives the one to be sent instead; None leaves it out."""


def redaction(hook: str, paths: Sequence[str], salt: bytes | None = None) -> Redact:
    """The hook, then the paths. Equal values get equal substitutes, whose salt is thrown away with the process."""
    chosen = load(hook) if hook else _as_it_is
    parsed = [parse_path(path) for path in paths]
    secret = salt or os.urandom(16)

    def redact(event: Json) -> Json | None:
        changed = chosen(event)
        if changed is None:
            return None
        for path in parsed:
            _replace(changed, path, secret)
        return changed

    return redact


def load(hook: str) -> Redact:
    """The function that `module:function` names; modules are also looked for in the current folder."""
    module_name, _, name = hook.partition(":")
    if not module_name or not name:
        raise InvalidInput(f"--redact: {hook!r} names no function; write module:function")
    sys.path.insert(0, os.getcwd())
    try:
        found: object = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"--redact: {hook} cannot be loaded: {error}") from error
    finally:
        sys.path.remove(os.getcwd())
    if not callable(found):
        raise InvalidInput(f"--redact: {hook} is not a function")
    return _checked(found, hook)


def parse_path(text: str) -> tuple[str, ...]:
    """`data.customer.email`, or `data.items.*.email` for all of them."""
    path = tuple(text.split("."))
    if len(path) < 2 or path[0] not in ("data", "user") or not all(path):
        raise InvalidInput(f"--redact-path: {text!r} is no path; write data.email, user.name or data.items.*.email")
    return path


def _checked(hook: Callable[..., object], name: str) -> Redact:
    def redact(event: Json) -> Json | None:
        try:
            changed = hook(event)
        except Exception as error:  # a hook that fails must not let the event through
            raise InvalidInput(f"--redact: {name} failed on event {event.get('id')!r}: {error!r}") from error
        if changed is not None and not (isinstance(changed, dict) and isinstance(changed.get("name"), str)):
            raise InvalidInput(f"--redact: {name} must return the event as a dict, or None to leave it out")
        return changed

    return redact


def _as_it_is(event: Json) -> Json | None:
    return event


def _replace(value: object, path: Sequence[str], secret: bytes) -> None:
    """Change what lies at the path, in place."""
    if isinstance(value, dict):
        for key in list(value) if path[0] == "*" else [key for key in path[:1] if key in value]:
            value[key] = _without(value[key], path[1:], secret)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            if path[0] in ("*", str(place)):
                value[place] = _without(each, path[1:], secret)


def _without(value: object, rest: Sequence[str], secret: bytes) -> object:
    if rest:
        _replace(value, rest, secret)
        return value
    return None if value is None else substitute(value, secret)


def substitute(value: object, secret: bytes) -> str:
    """Tells nothing of the value, and is the same for the same value."""
    return "redacted-" + hashlib.blake2b(repr(value).encode(), digest_size=6, key=secret).hexdigest()
