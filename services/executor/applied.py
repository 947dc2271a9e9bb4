"""How far a partition's commands are part of its state, and so with which command its owner goes on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..messages.records import OffsetApplied


@dataclass(frozen=True, slots=True)
class CommandLog:
    """One partition of `run-steps` as it is now; an end of -1 says that nobody knows.

    The topic's id is empty where the cluster tells none.
    """

    topic_id: str = ""
    first: int = 0
    end: int = -1


UNKNOWN_LOG = CommandLog()


@dataclass(frozen=True, slots=True)
class Continuation:
    """The offset to go on from; `warning` says what an operator should know about it."""

    offset: int
    warning: str = ""


def continuation(applied: OffsetApplied | None, log: CommandLog) -> Continuation:
    """Behind what is applied; of a topic that was made anew under the same name, every command is new.

    A command that is read twice changes nothing, one that is passed over is lost: so what is in doubt is read.
    """
    if applied is None:
        return Continuation(log.first)
    following = applied.offset + 1
    if _is_another(applied, log):
        return Continuation(log.first, f"run-steps was made anew: reading it from its first command, {log.first}, on")
    if following < log.first:
        # The markers of transactions have offsets, too: most often nothing but those was deleted.
        gone = f"run-steps begins with {log.first} now: commands from {following} on that nobody has read are gone"
        return Continuation(log.first, gone)
    if ends_too_early(log, applied):
        known = bool(applied.topic_id and log.topic_id)
        offset = log.end if known else log.first
        return Continuation(
            offset, f"run-steps ends at {log.end}, before what is applied, {following}: going on from {offset}"
        )
    return Continuation(following)


def ends_too_early(log: CommandLog, applied: OffsetApplied | None) -> bool:
    """The same log, as far as is known, and yet it ends before what has been applied of it."""
    return applied is not None and not _is_another(applied, log) and -1 < log.end <= applied.offset


def _is_another(applied: OffsetApplied, log: CommandLog) -> bool:
    return bool(applied.topic_id and log.topic_id) and applied.topic_id != log.topic_id
