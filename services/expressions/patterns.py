"""Regular expressions whose time is linear in the text, whatever a stranger writes.

Python's `re` can be made to run for hours by a pattern such as `(a+)+$`. The CEL library matches with RE2, which
cannot, so matching is left to it.
"""

from __future__ import annotations

from functools import cache

from cel_expr_python import cel

from ..errors import EvaluationFailed, InvalidExpression

MAX_PATTERN = 1000


def matches(text: str, pattern: str) -> bool:
    """True when the pattern is found anywhere in the text; an invalid pattern is `EvaluationFailed`."""
    if len(pattern) > MAX_PATTERN:
        raise EvaluationFailed(f"the regular expression is longer than {MAX_PATTERN} characters")
    try:
        found = _matcher().eval(data={"text": text, "pattern": pattern})
    except Exception as error:  # the binding raises what it likes for text that is no Unicode
        raise EvaluationFailed(f"matches: {error}") from error
    value: object = found.value()
    if not isinstance(value, bool):
        raise EvaluationFailed(str(value))
    return value


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that can never match, when it is known at compile time."""
    try:
        matches("", pattern)
    except EvaluationFailed as error:
        raise InvalidExpression(f"matches: {error}".replace("INVALID_ARGUMENT: ", "")) from error


@cache
def _matcher() -> cel.Expression:
    string = cel.Type.STRING
    return cel.NewEnv(variables={"text": string, "pattern": string}).compile("text.matches(pattern)")
