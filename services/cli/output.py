"""What commands print: tables and details for people, JSON for programs. Nothing a user wrote can move the cursor."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import orjson

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOURS = {
    "Completed": "green",
    "Running": "cyan",
    "Failed": "red",
    "Cancelled": "yellow",
    "Paused": "yellow",
    "Scheduled": "blue",
    "ok": "green",
    "warn": "yellow",
    "fail": "red",
}
MAX_CELL = 120


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode() + "\n")


def print_json_line(value: object) -> None:
    """One JSON document a line, for lists without an end."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> None:
    """A table; `nothing` is said when there is no row. Without a terminal, columns are parted by tabs."""
    found = [[cell(value) for value in row] for row in rows]
    if not found:
        sys.stderr.write(nothing + "\n")
        return
    if not sys.stdout.isatty():
        sys.stdout.write("".join("\t".join(row) + "\n" for row in [list(columns), *found]))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("id", "status"))
    for row in found:
        table.add_row(*(Text(text, style=_COLOURS.get(text, "")) for text in row))
    Console().print(table)


def print_details(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; longer values below their name."""
    found = [(name, _whole(value)) for name, value in pairs if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in found), default=0)
    for name, text in found:
        if "\n" in text:
            indented = "\n".join("  " + line for line in text.splitlines())
            sys.stdout.write(f"{name}:\n{indented}\n")
        else:
            sys.stdout.write(f"{name + ':':<{width + 1}} {text}\n")


def say(text: str) -> None:
    """A word beside the result, on standard error."""
    sys.stderr.write(clean(text) + "\n")
    sys.stderr.flush()


def cell(value: object) -> str:
    """A value as one short line."""
    text = _whole(value).replace("\n", " ").replace("\t", " ")
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def clean(text: str) -> str:
    """The text without what a terminal would obey."""
    return _CONTROL.sub("�", text)


def local_time(value: object) -> str:
    """An RFC 3339 time, or milliseconds, by the clock on the wall."""
    if value in (None, "", 0):
        return ""
    try:
        found = (
            datetime.fromtimestamp(value / 1000, UTC) if isinstance(value, int) else datetime.fromisoformat(str(value))
        )
    except ValueError:
        return str(value)
    return found.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _whole(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping | list | tuple):
        return clean(orjson.dumps(value, option=orjson.OPT_INDENT_2 if value else 0).decode())
    return clean(str(value))
