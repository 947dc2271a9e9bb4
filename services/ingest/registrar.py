"""Apps, registered and forgotten: the plan of `functions.sync`, written to Kafka.

One sync at a time, so that each plan is made from the table that the one before has left, whichever process that was.
Of two processes that register the same app at once the later one counts, whole: it looks again at what it wrote, and
mends what the other one's records have left between its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..functions.registration import Registration
from ..functions.sync import counts, plan_failure, plan_removal, plan_sync, same_place
from ..functions.table import FunctionTable
from ..messages.records import App
from .publish import Publisher

#: Each round but the first mends what another process wrote meanwhile; the next sync goes on where this is not enough.
MOST_ROUNDS = 5


class Registrar:
    """Brings the functions topic to what apps register. What has returned is on Kafka and in our own table."""

    def __init__(self, publisher: Publisher, now: Callable[[], int]) -> None:
        self._publisher = publisher
        self._now = now
        self._one_at_a_time = asyncio.Lock()

    @property
    def table(self) -> FunctionTable:
        return self._publisher.table

    async def register(self, wanted: Registration) -> bool:
        """True when anything about the app was new. Dies halfway: the next sync writes what is missing."""
        async with self._one_at_a_time:
            await self._publisher.refresh()
            plan = plan_sync(self.table, wanted, self._now())
            modified = plan.modified
            for _round in range(MOST_ROUNDS):
                await self._publisher.functions(plan.records)
                if not plan.records or not counts(self.table, wanted):
                    break
                plan = plan_sync(self.table, wanted, self._now())
        return modified

    async def remove(self, url: str) -> bool:
        """Forget the apps at this URL; False when there are none."""
        async with self._one_at_a_time:
            await self._publisher.refresh()
            records = plan_removal(self.table, url, self._now())
            await self._publisher.functions(records)
        return bool(records)

    async def sync_failed(self, url: str, error: str) -> None:
        """Keep the reason with the apps at this URL."""
        async with self._one_at_a_time:
            await self._publisher.refresh()
            records = [record for app in self.apps_at(url) if (record := plan_failure(app, error)) is not None]
            await self._publisher.functions(records)

    def apps_at(self, url: str) -> list[App]:
        """The apps that are served at this URL."""
        return [app for app in self.table.apps() if app.url and same_place(app.url, url)]
