"""JSON as people read it: indented, its kinds told apart, cut where it is too long for a page.

Nothing here is trusted: what is marked up is escaped first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson
from markupsafe import Markup, escape

#: What a page shows of one payload; the whole is a link away.
SHOWN_CHARACTERS = 20_000
#: A payload larger than this is shown as it came: to indent it would hold up everybody else.
LARGEST_INDENTED = 1_000_000
SNIPPET_CHARACTERS = 120

_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<text>"(?:[^"\\]|\\.)*"?)'
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<word>\b(?:true|false|null)\b)"
)
_CLASSES = {"key": "jk", "text": "js", "number": "jn", "word": "jw"}


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload ready to be shown."""

    markup: Markup
    characters: int
    cut: bool


def payload(text: str | None, shown: int = SHOWN_CHARACTERS) -> Payload:
    """JSON text indented and marked up; text that is none, as it stands."""
    whole = text or ""
    pretty = indented(whole)
    cut = len(pretty) > shown
    return Payload(highlighted(pretty[:shown]), len(whole), cut)


def indented(text: str) -> str:
    """The same JSON, one value a line."""
    if len(text) > LARGEST_INDENTED:
        return text
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return text


def highlighted(text: str) -> Markup:
    """Escaped, with a class for each kind of value."""
    parts: list[Markup] = []
    at = 0
    for token in _TOKEN.finditer(text):
        kind = _CLASSES[token.lastgroup or "word"]
        parts.append(escape(text[at : token.start()]))
        parts.append(Markup('<span class="{}">{}</span>').format(kind, token.group()))
        at = token.end()
    parts.append(escape(text[at:]))
    return Markup("").join(parts)


def snippet(text: str | None, characters: int = SNIPPET_CHARACTERS) -> str:
    """The beginning, on one line."""
    if not text or text == "null":
        return ""
    line = " ".join(text[: characters * 4].split())
    return line if len(line) <= characters else line[: characters - 1] + "…"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as SDKs report it."""

    name: str
    message: str
    stack: str
    rest: str = ""


def failure(text: str | None) -> Failure | None:
    """The error in a JSON text, also one that is wrapped in `error`; None when there is nothing like one."""
    value = _decoded(text)
    inner = value.get("error") if isinstance(value, dict) and isinstance(value.get("error"), dict) else value
    if not isinstance(inner, dict) or not inner.keys() & {"name", "message", "stack"}:
        return None
    rest = {key: item for key, item in inner.items() if key not in ("name", "message", "stack", "error") and item}
    return Failure(
        name=str(inner.get("name") or "Error"),
        message=str(inner.get("message") or ""),
        stack=str(inner.get("stack") or "")[:SHOWN_CHARACTERS],
        rest=_encoded(rest) if rest else "",
    )


def _decoded(text: str | None) -> object:
    if not text or len(text) > LARGEST_INDENTED:
        return None
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value


def unwrapped(text: str | None) -> str | None:
    """A step's output without the `data` that SDKs expect around it."""
    value = _decoded(text)
    if isinstance(value, dict) and value.keys() == {"data"}:
        return _encoded(value["data"]) or text
    return text


def _encoded(value: object) -> str:
    """JSON again; nothing for what is nested deeper than can be written."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return ""
