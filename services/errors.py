"""Every error that Penstock raises for others to catch.

    PenstockError
    ├── InvalidInput            what a stranger sent cannot be used; sending it again will not help
    │   ├── UndecodableRecord   bytes of a Kafka record
    │   ├── InvalidRegistration an app's function configuration
    │   ├── InvalidExpression   a CEL expression
    │   ├── EvaluationFailed    a CEL expression, on the values of one event
    │   ├── InvalidReply        what an app answered
    │   └── LimitExceeded       larger, longer or more than allowed
    ├── InvalidSettings         an environment variable or flag
    ├── TopicMismatch           a topic exists with another shape than needed
    ├── Unavailable             a dependency does not answer; the same call may succeed later
    │   └── Overloaded          too much is on its way already
    └── Fenced                  another owner has taken over this partition

Each class answers `retryable` (may the same call succeed later?). Domain outcomes (a step failed, a run was
cancelled) are facts, not exceptions.
"""

from __future__ import annotations

from typing import ClassVar


class PenstockError(Exception):
    """Root of all errors."""

    retryable: ClassVar[bool] = False


class InvalidInput(PenstockError):
    """What a stranger sent cannot be used as it is."""


class UndecodableRecord(InvalidInput):
    """Bytes of a Kafka record that are none of the accepted encodings, or break their schema."""


class InvalidRegistration(InvalidInput):
    """An app's function configuration that cannot be registered; the message names function and key."""


class InvalidExpression(InvalidInput):
    """A CEL expression that does not compile; the message is the compiler's."""


class EvaluationFailed(InvalidInput):
    """A CEL expression has no value for this event (a wrong type, an overflow); it compiles all the same."""


class InvalidReply(InvalidInput):
    """An app's answer that is not what an SDK sends."""


class LimitExceeded(InvalidInput):
    """Larger, longer or more than allowed; the message says what and how much."""


class InvalidSettings(PenstockError):
    """A setting that cannot be used; the message names it and says what is allowed."""


class TopicMismatch(PenstockError):
    """A topic exists with another partition count or cleanup policy than needed."""


class Unavailable(PenstockError):
    """A dependency (Kafka, a database, an owner) does not answer within its bound."""

    retryable = True


class Overloaded(Unavailable):
    """Too much is on its way already; taking more would only make it wait longer."""


class Fenced(PenstockError):
    """Another owner has taken over: this one must not write again."""
