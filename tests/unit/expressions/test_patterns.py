"""Regular expressions of strangers."""

from __future__ import annotations

import pytest

from penstock.errors import EvaluationFailed, InvalidExpression
from penstock.expressions.patterns import MAX_PATTERN, check_pattern, matches


def test_a_pattern_matches_anywhere() -> None:
    """Unless it is anchored."""
    assert matches("hello", "l+")
    assert not matches("hello", "^l+")
    assert matches("Grüße\x00", "ü.e")


@pytest.mark.parametrize("pattern", ["(", "a{5000}", "(?=a)", r"(a)\1", "x" * (MAX_PATTERN + 1), "\ud800"])
def test_what_cannot_be_matched_in_linear_time_or_at_all_fails(pattern: str) -> None:
    """Back-references, look-around, giant repetitions, broken and very long patterns."""
    with pytest.raises(EvaluationFailed):
        matches("aaa", pattern)
    with pytest.raises(InvalidExpression, match=r"^matches: "):
        check_pattern(pattern)
