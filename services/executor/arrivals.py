"""What arrives at a partition's owner: commands, facts about runs, timers, questions that need a commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from ..messages.ids import RunId
from ..messages.records import CancelRun, InvokedRunEnded, Record, ResumeRun, SignalAnswered, SignalClaimed, StartRun
from ..runs.facts import (
    CallAnswered,
    CancelRequested,
    EventMet,
    Fact,
    InvocationEnded,
    RequestAnswered,
    SignalHeard,
    StepsCheckpointed,
)
from ..runs.outcomes import Responded
from ..runs.replies import Failed, Op, Returned, Stepped
from ..runs.run import Run
from .cancellations import CancellationScan


@dataclass(frozen=True, slots=True)
class CommandArrived:
    """A record of the partition's `run-steps`; what cannot be taken stands here as the dead letter that it becomes."""

    offset: int
    command: Record


@dataclass(frozen=True, slots=True)
class RunFact:
    """Something happened to a run; `applied` is called after the commit that took it in."""

    run_id: RunId
    fact: Fact
    applied: Callable[[Run | None], None] | None = None


@dataclass(frozen=True, slots=True)
class StateDue:
    """The index says that this record's time has come."""

    due_at: int
    key: bytes


@dataclass(frozen=True, slots=True)
class SignalSent:
    """Somebody sends a signal that this partition decides about; `data` is JSON text.

    `applied` is told, after the commit, to whose wait it was handed, or None.
    """

    signal: str
    data: str
    applied: Callable[[SignalClaimed | None], None]


@dataclass(frozen=True, slots=True)
class FunctionsChanged:
    """The function table says something new: what follows from it for this partition is to be brought in line."""


Arrival = CommandArrived | RunFact | StateDue | SignalSent | FunctionsChanged | CancellationScan


def size_of(arrival: Arrival) -> int:
    """Characters of payload that the arrival brings into a commit, about."""
    match arrival:
        case CommandArrived(command=StartRun(events=events)):
            return sum(map(len, events))
        case CommandArrived(command=ResumeRun(event=text)) | CommandArrived(command=InvokedRunEnded(output=text)):
            return len(text)
        case RunFact(fact=CallAnswered(reply=Returned(output=text))) | RunFact(fact=CallAnswered(reply=Failed(text))):
            return len(text)
        case RunFact(fact=CallAnswered(reply=Stepped(ops=ops))) | RunFact(fact=StepsCheckpointed(ops=ops)):
            return sum(map(_size_of_op, ops))
        case RunFact(fact=RequestAnswered(outcome=Responded(body=body))):
            return len(body)
        case SignalSent(data=text):
            return len(text)
        case _:
            return 0


def _size_of_op(op: Op) -> int:
    payload = op.opts.get("payload") or op.opts.get("body")
    # What a step asks to be sent on is held decoded; its text may be as large as an answer.
    return len(op.data or "") + len(op.error or "") + (0 if payload is None else len(repr(payload)))


def fact_of(command: CancelRun | ResumeRun | InvokedRunEnded | SignalAnswered) -> Fact:
    """What a command to a run says happened."""
    match command:
        case CancelRun():
            return CancelRequested(command.reason)
        case ResumeRun():
            return EventMet(command)
        case InvokedRunEnded():
            return InvocationEnded(command)
        case SignalAnswered():
            return SignalHeard(command)
        case _:
            assert_never(command)
