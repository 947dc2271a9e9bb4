"""How deep a GraphQL query may go, and how much it may ask for. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from ..errors import LimitExceeded

MAX_DEPTH = 16
MAX_COST = 10_000
MAX_TOKENS = 2_000
#: Items that a connection may give in one page.
MAX_FIRST = 100
#: Fields that ask the database again for every item they belong to.
_COSTS = {"trace": 100, "runs": 10, "functionRuns": 10, "totalCount": 100}
_PAGES = ("runs", "eventsV2")
_DEFAULT_FIRST = 50


def check_bounds(document: DocumentNode, variables: Mapping[str, object]) -> None:
    """Raise `LimitExceeded` for a valid query that is nested or multiplied too far."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            cost = _Costs(fragments, variables).of(node.selection_set, 1)
            if cost > MAX_COST:
                raise LimitExceeded(f"the query asks for {cost} values; {MAX_COST} are allowed: lower `first`")


class _Costs:
    """Counts what a selection asks for; fragments that are used again are not walked again."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, object]) -> None:
        self._fragments = fragments
        self._variables = variables
        self._known: dict[tuple[str, int], int] = {}

    def of(self, selections: SelectionSetNode | None, depth: int) -> int:
        if selections is None:
            return 0
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"the query is nested more than {MAX_DEPTH} deep")
        cost = 0
        for node in selections.selections:
            match node:
                case FieldNode():
                    cost += self._field(node, depth)
                case InlineFragmentNode():
                    cost += self.of(node.selection_set, depth)
                case FragmentSpreadNode():
                    cost += self._fragment(node.name.value, depth)
            if cost > 1000 * MAX_COST:
                raise LimitExceeded(f"the query asks for far more than {MAX_COST} values")
        return cost

    def _field(self, node: FieldNode, depth: int) -> int:
        name = node.name.value
        if name in _PAGES and depth == 1:
            return 1 + self._page(node, self._first(node), depth + 1)
        return _COSTS.get(name, 1) + self.of(node.selection_set, depth + 1) * (10 if name in _COSTS else 1)

    def _page(self, node: FieldNode, first: int, depth: int) -> int:
        """What comes once in a page, and what comes with every item."""
        cost = 0
        for one in node.selection_set.selections if node.selection_set else ():
            once = isinstance(one, FieldNode) and one.name.value in ("totalCount", "pageInfo")
            whole = SelectionSetNode(selections=(one,))
            cost += self.of(whole, depth) * (1 if once else first)
        return cost

    def _first(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                given = self._variables.get(value.name.value) if isinstance(value, VariableNode) else None
                given = int(value.value) if isinstance(value, IntValueNode) else given
                return given if isinstance(given, int) else _DEFAULT_FIRST
        return _DEFAULT_FIRST

    def _fragment(self, name: str, depth: int) -> int:
        place = (name, depth)
        if place not in self._known:
            self._known[place] = self.of(self._fragments[name].selection_set, depth)
        return self._known[place]
