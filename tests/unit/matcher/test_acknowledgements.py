"""Acknowledgements keep the order of their partition."""

from __future__ import annotations

from itertools import permutations

import pytest

from penstock.matcher.acknowledgements import Acknowledgements


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_whatever_the_order_of_delivery_the_order_of_arrival_is_kept(order: tuple[int, ...]) -> None:
    """An arrival is acknowledged when it and all before it are done with, never earlier, never later."""
    line = Acknowledgements()
    acknowledged: list[int] = []
    arrivals = [line.arrived(("events", 0), lambda n=n: acknowledged.append(n)) for n in range(4)]  # type: ignore[misc]
    done: set[int] = set()
    for n in order:
        line.done(arrivals[n])
        done.add(n)
        expected = next((i for i in range(4) if i not in done), 4)
        assert acknowledged == list(range(expected))
        assert line.waiting == 4 - expected


def test_partitions_do_not_wait_for_each_other() -> None:
    """One partition that is held up holds up no other."""
    line = Acknowledgements()
    acknowledged: list[str] = []
    line.arrived(("events", 0), lambda: acknowledged.append("0"))
    other = line.arrived(("events", 1), lambda: acknowledged.append("1"))
    same_number = line.arrived(("internal-events", 0), lambda: acknowledged.append("internal"))
    line.done(same_number)
    line.done(other)
    assert acknowledged == ["internal", "1"]
