"""Which parts of the run's own event an expression reads, so that a wait carries those and not the whole event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from .syntax import Call, Comprehension, ListLiteral, Literal, MapLiteral, Name, Node, Select

Json = Mapping[str, object]

#: What is read, as nested keys; an empty one means "all of it".
Reads = dict[str, "Reads"]


def reads_of(node: Node, name: str) -> Reads | None:
    """What the tree reads of the variable; None when it does not name it, `{}` when it may need everything."""
    found: Reads | None = None
    for path in _paths(node, name):
        found = _with(found, path)
    return found


def prune(value: Json, reads: Reads | None) -> dict[str, object]:
    """The parts of an event that are read: to the expression they are as good as the whole."""
    if reads is None:
        return {}
    if not reads:
        return dict(value)
    return {key: _pruned(value[key], inner) for key, inner in reads.items() if key in value}


def _pruned(value: object, reads: Reads) -> object:
    return prune(value, reads) if isinstance(value, dict) and reads else value


def _with(reads: Reads | None, path: tuple[str, ...]) -> Reads:
    """With one more path read; the shorter of two that begin alike takes in the longer."""
    if not path or reads == {}:
        return {}
    known = {} if reads is None else reads
    return {**known, path[0]: _with(known.get(path[0]), path[1:])}


def _paths(node: Node, name: str) -> Iterator[tuple[str, ...]]:
    """Every chain of constant keys that begins at the variable, as long as it goes."""
    path = _path(node, name)
    if path is not None:
        yield path
        return
    for child in children(node):
        yield from _paths(child, name)


def _path(node: Node, name: str) -> tuple[str, ...] | None:
    match node:
        case Name(found) if found == name:
            return ()
        case Select(operand, key, _) | Call("_[_]", (operand, Literal(str(key)))):
            above = _path(operand, name)
            return None if above is None else (*above, key)
        case _:
            return None


def children(node: Node) -> tuple[Node, ...]:
    """The trees directly below a node."""
    match node:
        case Literal() | Name():
            return ()
        case Select():
            return (node.operand,)
        case Call():
            return node.arguments
        case ListLiteral():
            return node.elements
        case MapLiteral():
            return tuple(part for entry in node.entries for part in entry)
        case Comprehension():
            return (node.over, node.start, node.condition, node.step, node.result)
        case _:
            assert_never(node)


def names_in(node: Node) -> frozenset[str]:
    """Every variable and function that a tree names."""
    own = {node.name} if isinstance(node, Name) else {node.function} if isinstance(node, Call) else set()
    return frozenset(own).union(*map(names_in, children(node)))
