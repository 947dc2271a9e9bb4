"""Payloads (`data`, `user`): JSON text of an object or null, checked once where strangers hand it in.

Text of ours is kept as it came; values of other encodings (Avro's bytes, decimals, times) are written as JSON here.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from ..errors import UndecodableRecord

MEBIBYTE = 1024 * 1024
#: What only the system may put into an event's data.
RESERVED_KEY = "_inngest"


@dataclass(frozen=True, slots=True)
class PayloadLimits:
    """How large and how deep a payload may be."""

    max_bytes: int = 3 * MEBIBYTE
    max_depth: int = 200


def parse_json(text: str | bytes, what: str, limits: PayloadLimits) -> object:
    """The value of a JSON text of bounded depth."""
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UndecodableRecord(f"{what} is not valid JSON: {error}") from error
    opening = text.count("{") + text.count("[") if isinstance(text, str) else text.count(b"{") + text.count(b"[")
    if opening > limits.max_depth:
        require_depth(value, what, limits)
    return value


def require_depth(value: object, what: str, limits: PayloadLimits) -> None:
    """Refuse a value that nests deeper than allowed; a level at a time, so that depth costs no stack."""
    level = [value]
    for _ in range(limits.max_depth + 1):
        level = [
            inner
            for outer in level
            for inner in (
                outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list | tuple) else ()
            )
            if isinstance(inner, dict | list | tuple)
        ]
        if not level:
            return
    raise UndecodableRecord(f"{what} nests deeper than {limits.max_depth} levels: flatten it")


def checked_text(text: str, what: str, limits: PayloadLimits, keep_reserved: bool) -> str:
    """The text, when it is JSON of an object or null within the limits; without the reserved key."""
    _require_size(text, what, limits)
    value = parse_json(text, what, limits)
    if value is None or (isinstance(value, dict) and (keep_reserved or RESERVED_KEY not in value)):
        return text
    return payload_text(value, what, limits, keep_reserved)


def payload_text(value: object, what: str, limits: PayloadLimits, keep_reserved: bool = False) -> str:
    """JSON text of an object or null, whatever encoding its values came from; without the reserved key."""
    if value is None:
        return "null"
    if not isinstance(value, dict):
        raise UndecodableRecord(f"{what} must be an object or null, not {_kind(value)}: wrap it in an object")
    if not keep_reserved and RESERVED_KEY in value:
        value = {key: inner for key, inner in value.items() if key != RESERVED_KEY}
    try:
        text = orjson.dumps(value, default=_as_json).decode()
    except (orjson.JSONEncodeError, ValueError) as error:
        raise UndecodableRecord(f"{what} cannot be written as JSON: {error}") from error
    _require_size(text, what, limits)
    return text


def _require_size(text: str, what: str, limits: PayloadLimits) -> None:
    if len(text) * 4 > limits.max_bytes and len(text.encode()) > limits.max_bytes:
        raise UndecodableRecord(
            f"{what} is larger than {limits.max_bytes / MEBIBYTE:g} MiB: store it elsewhere and send a reference"
        )


def _kind(value: object) -> str:
    names = {
        str: "text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "an array",
        bytes: "bytes",
    }
    return names.get(type(value), type(value).__name__)


def _as_json(value: Any) -> Any:
    """Bytes become base64, decimals numbers with all their digits, anything else text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value)) if math.isfinite(value) and abs(value) < 10**300 else str(value)
    return str(value)
