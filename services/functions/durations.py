"""Durations as SDKs write them: `30s`, `1m30s`, `2h`, `1d`, `1w`, `300ms`.

The grammar is that of the `str2duration` library the SDKs follow: numbers, whole or decimal, each with a unit, one
after the other. A month or a year has no fixed length, so there is no unit for them.
"""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

from ..errors import InvalidInput

MAX_TEXT = 64
#: No run waits longer than this; larger numbers are typing errors.
MAX_DURATION = timedelta(days=366 * 10)

_MICROSECONDS = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),  # micro sign
    "μs": Fraction(1),  # Greek letter
    "ms": Fraction(1000),
    "s": Fraction(1_000_000),
    "m": Fraction(60_000_000),
    "h": Fraction(3_600_000_000),
    "d": Fraction(86_400_000_000),
    "w": Fraction(604_800_000_000),
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w)")


def parse_duration(text: str) -> timedelta:
    """The duration that the text says; `InvalidInput` when it says none, a negative one or more than ten years."""
    parts = _PART.findall(text) if len(text) <= MAX_TEXT else []
    if text == "0":
        return timedelta(0)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidInput(f"{text[:MAX_TEXT]!r} is not a duration; write it as 300ms, 30s, 1m30s, 2h, 1d or 1w")
    total = sum((_number(number) * _MICROSECONDS[unit] for number, unit in parts), Fraction(0))
    if total > MAX_DURATION // timedelta(microseconds=1):
        raise InvalidInput(f"{text!r} is longer than the ten years that a duration may be")
    return timedelta(microseconds=int(total))


def _number(text: str) -> Fraction:
    whole, _, decimals = text.partition(".")
    return Fraction(int((whole + decimals) or "0"), 10 ** len(decimals))
