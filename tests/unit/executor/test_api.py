"""What others ask an owner: which run a key has started."""

from __future__ import annotations

from typing import cast

import httpx
import pytest
from starlette.applications import Starlette

from penstock.executor.api import Dispatches, OwnerApi
from penstock.executor.ownership import Ownership
from penstock.executor.partition import PartitionOwner

from .world import FN, App, World, ended, start, three_steps


class OneOwner:
    """A process that owns partition 0."""

    def __init__(self, owner: PartitionOwner) -> None:
        self._owner = owner

    def owner(self, partition: int) -> PartitionOwner | None:
        return self._owner if partition == 0 else None


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"partition": "0", "function": FN, "event_id": "invoke/k"}, 200),
        ({"partition": "0", "function": FN, "event_id": "invoke/other"}, 404),
        ({"partition": "0", "function": "app/other", "event_id": "invoke/k"}, 404),
        ({"partition": "1", "function": FN, "event_id": "invoke/k"}, 421),
        ({"partition": "x", "function": FN, "event_id": "invoke/k"}, 400),
        ({"partition": "0"}, 400),
    ],
)
async def test_the_run_of_a_key(query: dict[str, str], status: int) -> None:
    """The first run that it started; 404 when it has started none, 421 when another process owns the partition."""
    world = World(App(three_steps))
    first, second = start("a", dedupe="invoke/k"), start("b", dedupe="invoke/k")
    world.commands = [first, second]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, first.run_id))
    api = OwnerApi(cast(Ownership, OneOwner(owner)), cast(Dispatches, world.app), 1)
    transport = httpx.ASGITransport(Starlette(routes=api.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://owner") as http:
        answer = await http.get("/deduplicated", params=query)
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"run_id": first.run_id}
