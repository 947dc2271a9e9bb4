"""What app and load generator record, as they hand it to the benchmark: rows of 64-bit numbers, no parsing.

Times are CLOCK_MONOTONIC nanoseconds, which all processes of a machine share.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

FINAL = -1
"""Step number of the call that ended the run."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the app: event number, step number (or `FINAL`), when it was there and when it was answered."""

    event: int
    step: int
    received: int
    answered: int


@dataclass(frozen=True, slots=True)
class Sent:
    """One event: when it should have been sent, when it was, when the answer came, and the HTTP status (0: none)."""

    event: int
    scheduled: int
    sent: int
    answered: int
    status: int


class Rows:
    """Rows of `width` numbers, appended quickly."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._numbers = array("q")

    def add(self, *row: int) -> None:
        """All of it or, when it is no row of numbers, nothing: half a row would shift all that follow."""
        if len(row) != self._width:
            raise TypeError(f"{len(row)} numbers in rows of {self._width}")
        self._numbers.extend(array("q", row))

    def take(self) -> bytes:
        """Everything so far, which is then forgotten."""
        numbers, self._numbers = self._numbers, array("q")
        return numbers.tobytes()


def read_calls(rows: bytes) -> list[Call]:
    return [Call(*row) for row in _rows(rows, 4)]


def read_sent(rows: bytes) -> list[Sent]:
    return [Sent(*row) for row in _rows(rows, 5)]


def _rows(rows: bytes, width: int) -> Iterator[tuple[int, ...]]:
    numbers = array("q")
    numbers.frombytes(rows)
    return zip(*(numbers[column::width] for column in range(width)), strict=True)
