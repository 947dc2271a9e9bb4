"""What became of an HTTP request that a run asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Responded:
    """The other side answered, with whatever status. Header names are in lower case; `repr` shows the status alone."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NotSent:
    """There was no answer; `retriable` says whether another attempt may have one."""

    reason: str
    retriable: bool


Outcome = Responded | NotSent
