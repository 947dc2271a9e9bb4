"""Registering while another process registers the same app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from penstock.errors import Unavailable
from penstock.functions.registration import Registration, parse_registration
from penstock.functions.sync import plan_sync
from penstock.ingest.registrar import Registrar
from penstock.kafka.produce import Outgoing
from tests.unit.functions.bodies import body, compiles, function
from tests.unit.ingest.doubles import NOW, MemoryTopics, open_publisher


def registration(name: str) -> Registration:
    return parse_registration(body(function("f", name=name)), compiles)


@dataclass
class Shared(MemoryTopics):
    """A topic on which others write too: once behind our first record, and once before we look at its end."""

    behind_our_first: Callable[[], None] | None = None
    before_we_look: Callable[[], None] | None = None

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        if others := self.behind_our_first:
            self.behind_our_first = None
            super().send_all(records[:1])
            others()
            records = records[1:]
        return super().send_all(records)

    async def refresh(self, timeout_seconds: float) -> None:
        if self.before_we_look:
            self.before_we_look()
        await super().refresh(timeout_seconds)

    def other_registers(self, wanted: Registration) -> None:
        for record in plan_sync(self.table, wanted, NOW).records:
            self.table.apply(record, self.table.offset + 1)

    def known(self) -> dict[str, tuple[str, int]]:
        return {f.config.slug: (f.config.name, f.version) for f in self.table.functions()}


async def test_what_another_wrote_in_between_is_mended() -> None:
    """The later app record counts, so its functions do too, under a version that is theirs alone."""
    topics = Shared()
    registrar = Registrar(open_publisher(topics), lambda: NOW)
    await registrar.register(registration("Before"))
    topics.behind_our_first = lambda: topics.other_registers(registration("Theirs"))
    assert await registrar.register(registration("Ours"))
    assert topics.known() == {"f": ("Ours", 4)}


async def test_a_registration_that_counts_no_longer_is_made_again() -> None:
    """What another process wrote is read first: the same again is new when something else came in between."""
    topics = Shared()
    registrar = Registrar(open_publisher(topics), lambda: NOW)
    await registrar.register(registration("Ours"))
    topics.before_we_look = lambda: topics.other_registers(registration("Theirs"))
    assert await registrar.register(registration("Ours"))
    assert topics.known() == {"f": ("Ours", 3)}


async def test_without_kafka_nobody_is_told_that_nothing_is_new() -> None:
    """Whether it still counts cannot be known."""
    topics = Shared()
    registrar = Registrar(open_publisher(topics), lambda: NOW)
    await registrar.register(registration("Ours"))
    topics.broken = True
    with pytest.raises(Unavailable):
        await registrar.register(registration("Ours"))
