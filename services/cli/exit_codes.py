"""What the exit code of every command means; `docs/cli.md` has the same table."""

from __future__ import annotations

from ..errors import InvalidInput, InvalidSettings, PenstockError, TopicMismatch

OK = 0
#: It did not work now, and may work later: no server, no Kafka, a timeout.
FAILED = 1
#: The command line or a setting cannot be used as it is.
MISUSED = 2
#: There is nothing of that name or id.
NOT_FOUND = 3
#: The server understood and refused.
REFUSED = 4
#: It was done or looked at, and what it is about has failed: a run, a replay, a check of `doctor`.
BAD_NEWS = 5
INTERRUPTED = 130


class NotFound(PenstockError):
    """There is nothing of that name or id; the message says where to look."""


class Refused(PenstockError):
    """The server understood and refused; the message is its own."""


class BadNews(PenstockError):
    """What was asked about has failed."""


def exit_code(error: PenstockError) -> int:
    """The code with which a command ends that raised this."""
    match error:
        case InvalidSettings() | TopicMismatch() | InvalidInput():
            return MISUSED
        case NotFound():
            return NOT_FOUND
        case Refused():
            return REFUSED
        case BadNews():
            return BAD_NEWS
        case _:
            return FAILED
