"""What exit codes mean."""

from __future__ import annotations

import pytest

from penstock.cli.exit_codes import BadNews, NotFound, Refused, exit_code
from penstock.errors import InvalidInput, InvalidSettings, Overloaded, PenstockError, TopicMismatch, Unavailable


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable(), 1),
        (Overloaded(), 1),
        (InvalidInput(), 2),
        (InvalidSettings(), 2),
        (TopicMismatch(), 2),
        (NotFound(), 3),
        (Refused(), 4),
        (BadNews(), 5),
    ],
)
def test_each_kind_of_error_has_its_code(error: PenstockError, code: int) -> None:
    """Scripts tell "try again" from "correct it" and from "look at it"."""
    assert exit_code(error) == code
