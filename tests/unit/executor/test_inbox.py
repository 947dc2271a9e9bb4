"""What waits at an owner."""

from __future__ import annotations

from penstock.executor.arrivals import Arrival, SignalSent
from penstock.executor.inbox import Inbox


def sent(data: str) -> Arrival:
    return SignalSent("s", data, lambda _: None)


def test_batches_are_bounded_in_number_and_in_size() -> None:
    """In their order, and never none: what is larger than the bound comes alone."""
    inbox, arrivals = Inbox(), [sent("x" * size) for size in (3, 4, 50, 1, 1, 1)]
    inbox.put_all(arrivals)
    assert (len(inbox), inbox.size) == (6, 60)
    assert inbox.take(10, 5) == arrivals[:2]
    assert inbox.take(10, 5) == arrivals[2:3]
    assert inbox.take(2, 5) == arrivals[3:5]
    assert (len(inbox), inbox.size) == (1, 1)
    assert inbox.take(2, 5) == arrivals[5:]
    assert inbox.take(2, 5) == []


def test_what_is_put_back_comes_first() -> None:
    """Before what has arrived meanwhile, as if it had not been taken."""
    inbox, arrivals = Inbox(), [sent(f"{n}") for n in range(5)]
    inbox.put_all(arrivals[:4])
    taken = inbox.take(3, 100)
    inbox.put_all(arrivals[4:])
    inbox.put_back(taken[1:])
    assert inbox.take(10, 100) == arrivals[1:]
    inbox.put_back(arrivals)
    inbox.clear()
    assert (len(inbox), inbox.size) == (0, 0)
