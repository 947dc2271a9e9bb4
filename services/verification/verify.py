"""Round after round, until the time is over; each is one seed, and one that fails ends the verification."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..kafka.schema_registry import wait_for_codec
from .errands import Errands, Installation
from .plan import Counts, Plan
from .rounds import Place, Round
from .served import ServedApps
from .stuck import Describe
from .watch import ChangelogWatch


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the apps of a verification listen, and the URL by which executors reach them (empty: the same)."""

    host: str
    port: int
    url: str = ""

    def reached_at(self) -> str:
        return self.url.rstrip("/") or f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Seeds:
    """Which seeds are played: from `first` on, `count` of them at least, and on until `minutes` are over."""

    first: int
    count: int = 1
    minutes: float = 0.0


async def verify(
    installation: Installation,
    listening: Listening,
    seeds: Seeds,
    plan: Plan,
    describe: Describe,
    check: Callable[[], None],
    say: Callable[[str], None],
    begins: Callable[[int], None] = lambda seed: None,
) -> Counts:
    """Play the rounds; what happened in all of them. Raises `Violation` or `Stuck` for the first that fails.

    `check` is called after the last, while the functions are still there; `begins` before each, with its seed.
    """
    codec, _ = await wait_for_codec(installation.kafka)
    watch = await asyncio.to_thread(ChangelogWatch, installation.kafka, codec)
    apps, total = ServedApps(), Counts()
    nonce = format(int(time.time()), "x")
    last = time.monotonic() + 60 * seeds.minutes
    try:
        async with apps.serving(listening.host, listening.port), Errands(installation) as errands:
            place = Place(errands, watch, apps, listening.reached_at(), describe)
            seed, played = seeds.first, list[Round]()
            while seed < seeds.first + seeds.count or time.monotonic() < last:
                began = time.monotonic()
                begins(seed)
                played.append(Round(seed, nonce, plan, place))
                counts = await played[-1].play()
                say(f"seed {seed}: {counts} ({time.monotonic() - began:.1f} s)")
                total.add(counts)
                seed += 1
            say(f"in all: {total}")
            await asyncio.to_thread(check)
            # Not earlier: a run that was invoked by a cancelled one may still begin, and is to find its function.
            await asyncio.gather(*(each.archive() for each in played))
    finally:
        await asyncio.to_thread(watch.close)
    return total
