"""How often somebody may enter a wrong secret. Pure: the time is an argument.

Kept in each process, and bounded: addresses whose last failure is longest ago are forgotten first. An address that is
forgotten may try anew, which is what the bound over all addresses is for.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass

MAX_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many failures at once, and another one whenever so much time has passed."""

    failures: int
    every_ms: int


EACH = Allowance(failures=10, every_ms=6_000)
TOGETHER = Allowance(failures=200, every_ms=600)


class FailedAttempts:
    """Counts failures for each address, and for all of them together."""

    def __init__(self, each: Allowance = EACH, together: Allowance = TOGETHER) -> None:
        self._each = each
        self._together = together
        self._paid_until: OrderedDict[str, int] = OrderedDict()
        """When an address's failures are forgotten: each adds its time (in ms since 1970)."""
        self._all_paid_until = 0

    def wait_seconds(self, address: str, now: int) -> int:
        """How long this address has to wait before it may try; 0 when it may."""
        own = _wait_ms(self._paid_until.get(_network(address), 0), self._each, now)
        return math.ceil(max(own, _wait_ms(self._all_paid_until, self._together, now)) / 1000)

    def failed(self, address: str, now: int) -> None:
        """Remember a failure."""
        network = _network(address)
        self._paid_until[network] = max(self._paid_until.get(network, 0), now) + self._each.every_ms
        self._paid_until.move_to_end(network)
        if len(self._paid_until) > MAX_ADDRESSES:
            self._paid_until.popitem(last=False)
        self._all_paid_until = max(self._all_paid_until, now) + self._together.every_ms

    def __len__(self) -> int:
        return len(self._paid_until)


def _wait_ms(paid_until: int, allowance: Allowance, now: int) -> int:
    return max(paid_until - now - (allowance.failures - 1) * allowance.every_ms, 0)


def _network(address: str) -> str:
    """What one person has: an IPv4 address, or the 64 bits of an IPv6 network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
