"""Notices transactions that hang on topics which owners write to, and has them ended.

Opening a partition ends whatever its earlier owners left hanging (`KafkaChangelog.fence`). So when something is held
back for longer than any live transaction may take, every owner opens its partition anew: one way to recover, always
the same, and it is needed once in a blue moon.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from ..errors import Unavailable
from ..kafka.held_back import Place

log = logging.getLogger(__name__)

#: More than a transaction's timeout and the broker's interval of looking for those that are over it.
LOOK_SECONDS = 30.0


class HeldBack:
    """Compares one look with the one before."""

    def __init__(self) -> None:
        self._before: Mapping[Place, int] = {}
        self._told: set[tuple[Place, int]] = set()

    def hanging(self, now: Mapping[Place, int]) -> Collection[Place]:
        """Places that were held back at the same offset the last time; each is told once, whether it helps or not."""
        found = {place: offset for place, offset in now.items() if self._before.get(place) == offset}
        new = [place for place, offset in found.items() if (place, offset) not in self._told]
        self._told = set(found.items())
        self._before = now
        return new


async def watch(look: Callable[[], Mapping[Place, int]], reopen: Callable[[str], None]) -> None:
    """Look every now and then, until cancelled. `look` blocks; what raises `Unavailable` is looked at the next time."""
    held = HeldBack()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            hanging = held.hanging(await asyncio.to_thread(look))
        except Unavailable as error:
            log.debug("not looked for hanging transactions: %s", error)
            continue
        if hanging:
            names = ", ".join(f"{topic}/{partition}" for topic, partition in hanging)
            reopen(f"a transaction has been hanging on {names}")
