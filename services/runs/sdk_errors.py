"""Errors as apps send them, brought into the one shape that runs keep: a JSON object with `name` and `message`.

What is an error object already stays as it was sent, to the byte: user code finds its `code`, `stack`, `cause` and
`data` again.
"""

from __future__ import annotations

import msgspec
import orjson

from .errors import error_text

MAX_MESSAGE = 2000

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def error_object(text: str) -> str:
    """The error that valid JSON text says, as JSON text of an object with the strings `name` and `message`.

    A JSON text inside a JSON string (some SDKs encode twice) is unwrapped; any other value becomes the message.
    """
    value = orjson.loads(text)
    if isinstance(value, str):
        inner = _object_in(value)
        return error_text("Error", value[:MAX_MESSAGE]) if inner is None else error_object(inner)
    if not isinstance(value, dict):
        return error_text("Error", text[:MAX_MESSAGE])
    name, message = value.get("name"), value.get("message")
    if isinstance(name, str) and isinstance(message, str):
        return text
    return _lifted(text, name, message, value.get("error"))


def fatal_error(status: int, body: bytes) -> str:
    """The error of an answer that no SDK wrote: a proxy's, or that of a server which crashed outside the SDK."""
    said = body[: MAX_MESSAGE * 4].decode("utf-8", "replace").strip()[:MAX_MESSAGE]
    return error_text("Server returned a fatal error", f"HTTP status {status}: {said or 'empty body'}")


def _object_in(text: str) -> str | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        orjson.loads(text)
    except ValueError:
        return None
    return text


def _said(error: object, text: str) -> str:
    return (error if isinstance(error, str) and error else text)[:MAX_MESSAGE]


def _lifted(text: str, name: object, message: object, error: object) -> str:
    """The object with what it lacks put in; its other fields stay as sent."""
    # What is said twice from here on is cut, so that an error as large as an answer may be still fits into a record.
    said = message if isinstance(message, str) and message else _said(error, text)
    try:
        fields = {key: orjson.Fragment(bytes(raw)) for key, raw in _fields.decode(text).items()}
    except RecursionError:  # nested deeper than any error that means something
        fields = {}
    return orjson.dumps({**fields, "name": name if isinstance(name, str) else "Error", "message": said}).decode()
