"""Take a wait's condition apart, so that an event finds its waits by a key instead of asking each of them.

    async.data.user_id == event.data.user_id && async.data.amount > 10

With the run's own event bound in, `data.user_id` is the *path* and the run's user id the *value*: an event can match
only if it has that value there. The rest is asked of the few waits that are found so. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import orjson

from .evaluation import Closure, Scope, build
from .expression import VARIABLES, compile_expression
from .library import FUNCTIONS
from .paths import Json, canonical, path_of, value_at
from .reads import Reads, names_in, prune, reads_of
from .syntax import Call, Node, parse
from .values import truthy

__all__ = ["Json", "Split", "canonical", "split", "value_at"]

_TIMED = frozenset(name for name, function in FUNCTIONS.items() if function.needs_now)


@dataclass(frozen=True, slots=True)
class Split:
    """An event matches when `value_at(event, path) == value` and `condition`, if there is any, holds over `bound`.

    `path` and `value` are empty together: no equality tells the events apart. `condition` is the original text (many
    waits share it compiled) or empty; `bound` is JSON of what it sees as `event`.
    """

    path: str
    value: str
    condition: str
    bound: str


@dataclass(frozen=True, slots=True)
class _Equality:
    """A conjunct `async.<path> == <operand>`, the operand known once the run's own event is."""

    path: str
    operand: Closure
    reads_event: bool


@dataclass(frozen=True, slots=True)
class _Parts:
    """A condition's conjuncts by what is known of them before any event comes."""

    fixed: tuple[Closure, ...]
    equalities: tuple[_Equality, ...]
    has_others: bool
    reads: Reads | None
    is_conjunction: bool


def split(text: str, event: Json) -> Split | None:
    """The condition `text` of a run that was started by `event`; None when no incoming event can satisfy it.

    `InvalidExpression` when it does not compile. Of several equalities the one taken is the first with a value from the
    run's own event, because constants tell runs apart badly; without one, the first.
    """
    parts = _parts(text)
    scope = Scope({"event": event, "async": None}, now_ms=0)
    try:
        holds = all(_holds(fixed(scope), parts) for fixed in parts.fixed)
        values = [(equality.path, equality.operand(scope)) for equality in parts.equalities] if holds else []
    except MemoryError:
        raise
    except Exception:  # an error in any conjunct is no match, whatever the others say
        return None
    return _split(text, event, parts, values) if holds else None


def _holds(value: object, parts: _Parts) -> bool:
    """Below `&&` truth is enough; a condition as a whole must be true itself."""
    return truthy(value) if parts.is_conjunction else value is True


def _split(text: str, event: Json, parts: _Parts, values: list[tuple[str, object]]) -> Split | None:
    indexable = [(path, found) for path, value in values if (found := canonical(value)) is not None]
    if any(canonical(value) is None and not isinstance(value, list | dict) for _, value in values):
        return None  # JSON holds no times, bytes, types or NaN: the equality is never true
    path, value = indexable[0] if indexable else ("", "")
    if parts.has_others or len(values) > min(len(indexable), 1):
        return Split(path, value, text, orjson.dumps(prune(event, parts.reads)).decode())
    return Split(path, value, "", "{}")


@lru_cache(maxsize=1024)
def _parts(text: str) -> _Parts:
    compile_expression(text)
    tree = parse(text)
    conjuncts = list(_conjuncts(tree))
    fixed = [node for node in conjuncts if _is_fixed(node)]
    equalities = [found for node in conjuncts if (found := _equality(node)) is not None]
    return _Parts(
        fixed=tuple(build(node, VARIABLES) for node in fixed),
        equalities=tuple(sorted(equalities, key=lambda equality: not equality.reads_event)),
        has_others=len(conjuncts) > len(fixed) + len(equalities),
        reads=reads_of(tree, "event"),
        is_conjunction=len(conjuncts) > 1,
    )


def _conjuncts(node: Node) -> Iterator[Node]:
    match node:
        case Call("_&&_", arguments):
            for argument in arguments:
                yield from _conjuncts(argument)
        case _:
            yield node


def _equality(node: Node) -> _Equality | None:
    match node:
        case Call("_==_", (left, right)):
            return _with_path(left, right) or _with_path(right, left)
        case _:
            return None


def _with_path(side: Node, other: Node) -> _Equality | None:
    path = path_of(side)
    if path is None or not _is_fixed(other):
        return None
    return _Equality(path, build(other, VARIABLES), reads_event="event" in names_in(other))


def _is_fixed(node: Node) -> bool:
    """Known as soon as the run's own event is: neither the incoming event nor the time has a say."""
    return not names_in(node) & (_TIMED | {"async"})
