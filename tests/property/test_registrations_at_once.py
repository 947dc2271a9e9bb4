"""Processes that register one app at once, each with other functions: one of them counts, and counts whole."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.functions.registration import Registration, parse_registration
from penstock.functions.sync import counts, plan_sync
from penstock.functions.table import FunctionTable
from tests.property.effort import examples
from tests.unit.functions.bodies import body, compiles, function

#: The functions of a registration: slug, and what its configuration says.
Configs = dict[str, int]

configs = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), min_size=1)


def registration(wanted: Configs) -> Registration:
    return parse_registration(body(*(function(slug, name=str(said)) for slug, said in wanted.items())), compiles)


class Topic:
    """The functions topic, as all processes read it."""

    def __init__(self) -> None:
        self.table = FunctionTable()

    def registering(self, wanted: Registration) -> Iterator[None]:
        """What `ingest.registrar` does; others may write wherever this yields."""
        plan = plan_sync(self.table, wanted, 1)
        while plan.records:
            for record in plan.records:
                yield
                self.table.apply(record, self.table.offset + 1)
            if not counts(self.table, wanted):
                return
            plan = plan_sync(self.table, wanted, 1)


@settings(deadline=None, max_examples=examples(200))
@given(configs, st.lists(configs, min_size=2, max_size=3), st.lists(st.integers(0, 2), max_size=40))
def test_the_one_that_counts_counts_whole(before: Configs, at_once: list[Configs], turns: list[int]) -> None:
    """In whatever order their records come to lie; no function keeps a version that another configuration had too."""
    topic = Topic()
    for _step in topic.registering(registration(before)):
        pass
    wanted = [registration(each) for each in at_once]
    under_way = [topic.registering(each) for each in wanted]
    for turn in [*turns, *(number for number in range(len(wanted)) for _step in range(50))]:
        next(under_way[turn % len(wanted)], None)
    (winner,) = {each.checksum: each for each in wanted if counts(topic.table, each)}.values()
    assert {f.config.key: f.config.name for f in topic.table.functions()} == {
        config.key: config.name for config in winner.functions
    }
    assert not any(topic.table.ambiguous(config.key) for config in winner.functions)
