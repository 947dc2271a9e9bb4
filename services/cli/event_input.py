"""Events as people give them to the command line: by options, or a file with one JSON object a line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from ..errors import InvalidInput


def one(name: str, data: str, event_id: str, user: str) -> dict[str, object]:
    """The event that the options mean."""
    if not name:
        raise InvalidInput("give the event's name, as in `penstock events send shop/order.placed`, or --file")
    event: dict[str, object] = {"name": name, "data": _json(content(data, "--data"), "--data")}
    if event_id:
        event["id"] = event_id
    if user:
        event["user"] = _json(user.encode(), "--user")
    return event


def many(file: str) -> Iterator[dict[str, object]]:
    """The events of a file, or of standard input (`-`); read as they are needed."""
    if file == "-":
        yield from lines(sys.stdin.buffer, "standard input")
        return
    try:
        with Path(file).open("rb") as opened:
            yield from lines(opened, file)
    except OSError as error:
        raise InvalidInput(f"--file: {file} cannot be read: {error.strerror}") from error


def lines(given: Iterable[bytes], where: str) -> Iterator[dict[str, object]]:
    """One event a line; `InvalidInput` names the line that is none."""
    for number, line in enumerate(given, 1):
        if not line.strip():
            continue
        event = _json(line, f"{where}, line {number}")
        if not isinstance(event, dict):
            raise InvalidInput(
                f'{where}, line {number}: an event is a JSON object, such as {{"name": "shop/order.placed"}}'
            )
        yield event


def content(data: str, option: str) -> bytes:
    """What an option gives: itself, a file (`@name`) or standard input (`-`)."""
    if data == "-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            return Path(data[1:]).read_bytes()
        except OSError as error:
            raise InvalidInput(f"{option}: {data[1:]} cannot be read: {error.strerror}") from error
    return data.encode()


def _json(text: bytes, where: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"{where} is not JSON: {error}") from error
