"""Wrong entries are counted."""

from __future__ import annotations

import pytest

from penstock.dashboard.attempts import MAX_ADDRESSES, Allowance, FailedAttempts

NOW = 1_790_000_000_000


def after(failures: int, address: str = "192.0.2.1") -> FailedAttempts:
    attempts = FailedAttempts(Allowance(3, 6000), Allowance(20, 600))
    for _ in range(failures):
        assert attempts.wait_seconds(address, NOW) == 0
        attempts.failed(address, NOW)
    return attempts


def test_a_few_failures_are_free() -> None:
    """People mistype."""
    assert after(2).wait_seconds("192.0.2.1", NOW) == 0


def test_then_an_address_waits() -> None:
    """Until the next try is earned; not for ever, and others need not wait."""
    attempts = after(3)
    assert attempts.wait_seconds("192.0.2.1", NOW) == 6
    assert attempts.wait_seconds("192.0.2.1", NOW + 5999) == 1
    assert attempts.wait_seconds("192.0.2.1", NOW + 6000) == 0
    assert attempts.wait_seconds("192.0.2.2", NOW) == 0


def test_steady_failures_are_held_to_the_rate() -> None:
    """Whatever the pace of a guesser, a minute holds ten tries and the first few."""
    attempts, tries = after(0), 0
    for now in range(NOW, NOW + 60_000, 50):
        if not attempts.wait_seconds("a", now):
            attempts.failed("a", now)
            tries += 1
    assert 10 <= tries <= 13


def test_many_addresses_together_wait_too() -> None:
    """A guesser with many addresses meets the bound over all of them."""
    attempts = after(0)
    for number in range(20):
        attempts.failed(f"192.0.2.{number}", NOW)
    assert attempts.wait_seconds("198.51.100.1", NOW) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "", True),
        ("no address", "192.0.2.1", False),
    ],
)
def test_who_counts_as_one(one: str, other: str, same: bool) -> None:
    """An IPv6 network belongs to one person, however many addresses it has."""
    assert (after(3, one).wait_seconds(other, NOW) > 0) is same


def test_memory_is_bounded() -> None:
    """The addresses whose failure is longest ago are forgotten."""
    attempts = FailedAttempts()
    for number in range(MAX_ADDRESSES + 10):
        attempts.failed(f"user-{number}", NOW)
    assert len(attempts) == MAX_ADDRESSES
