"""Which partitions this process serves: opened when the group assigns them, closed when it takes them away.

A partition that fails (fenced, or a commit in doubt) is closed and opened anew from its changelog, after the group's
coordinator has confirmed that it is still ours; so a fenced owner never takes a partition back from its successor.

A partition that is handed over in an orderly way comes to rest first: its calls under way are answered and committed,
so that its next owner makes none of them again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from ..errors import PenstockError
from ..exhaustion import end_if_out_of_memory
from .arrivals import FunctionsChanged
from .commands import CommandReader
from .partition import MAX_BATCH, PartitionOwner

log = logging.getLogger(__name__)

Prove = Callable[[int, int], Awaitable[bool]]
"""(partition, next command offset) → is the partition still ours?"""

#: A call that has been under way for longer is waited for while its partition is still served.
LONG_CALL_SECONDS = 1.0
#: How long a partition that the group moves is served on for the sake of such calls.
PATIENCE_SECONDS = 4.0
#: How long its runs then hold still for the remaining calls; what is not answered by then is called again elsewhere.
REST_SECONDS = 2.0
#: A partition that was served for so long has recovered; one that fails sooner is opened ever more slowly.
STEADY_SECONDS = 30.0
_REOPEN_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)


@dataclass(slots=True)
class _Served:
    task: asyncio.Task[None]
    owner: PartitionOwner | None = None
    leaving: bool = False


class Ownership:
    """The `Assignee` of the group: one task per assigned partition."""

    def __init__(self, make_owner: Callable[[int], PartitionOwner], commands: CommandReader) -> None:
        self._make_owner = make_owner
        self._commands = commands
        self._served: dict[int, _Served] = {}
        self.prove: Prove | None = None
        """Set once the group membership exists; until then a failed partition waits."""
        self.patience_seconds = PATIENCE_SECONDS
        self.first_assignment = asyncio.Event()

    async def assigned(self, partitions: set[int]) -> None:
        for partition in partitions:
            served = self._served.get(partition)
            if served is not None and not served.leaving and not served.task.done():
                continue
            task = asyncio.get_running_loop().create_task(self._serve(partition))
            self._served[partition] = _Served(task)
        self.first_assignment.set()

    async def revoked(self, partitions: set[int]) -> None:
        await asyncio.gather(*(self._hand_over(partition) for partition in partitions))

    async def lost(self, partitions: set[int]) -> None:
        await asyncio.gather(*(self._stop(partition) for partition in partitions))

    def progress(self) -> dict[int, int]:
        return {p: served.owner.next_command for p, served in self._served.items() if served.owner is not None}

    def owner(self, partition: int) -> PartitionOwner | None:
        """The partition's owner in this process, once it serves."""
        served = self._served.get(partition)
        return None if served is None else served.owner

    def functions_changed(self) -> None:
        """Tell every owner; one that is just being opened looks for itself."""
        for served in self._served.values():
            if served.owner is not None:
                served.owner.put(FunctionsChanged())

    def reopen(self, reason: str) -> None:
        """Open every partition anew."""
        for served in self._served.values():
            if served.owner is not None and not served.leaving:
                served.owner.end(reason)

    async def close(self) -> None:
        await self.lost(set(self._served))

    async def _hand_over(self, partition: int) -> None:
        """Come to rest, within bounds, then stop. Questions about its runs are answered until then."""
        served = self._served.get(partition)
        if served is None:
            return
        served.leaving = True
        began = asyncio.get_running_loop().time()
        if served.owner is not None:
            await _bounded(served, served.owner.long_calls_ended(LONG_CALL_SECONDS), self.patience_seconds)
        if served.owner is not None:
            self._commands.remove(served.owner)
            if not await _bounded(served, served.owner.come_to_rest(), REST_SECONDS):
                log.info("partition %s: its next owner makes the calls again that are under way", partition)
        # By now the group may have given it to us anew: then another task serves it already.
        if self._served.get(partition) is served:
            del self._served[partition]
        await _ended(served)
        log.info("partition %s: handed over after %.2f s", partition, asyncio.get_running_loop().time() - began)

    async def _stop(self, partition: int) -> None:
        served = self._served.pop(partition, None)
        if served is not None:
            await _ended(served)

    async def _serve(self, partition: int) -> None:
        failures = 0
        next_command = 0
        while True:
            owner: PartitionOwner | None = None
            steady_at = float("inf")
            try:
                if failures:
                    await asyncio.sleep(_REOPEN_SECONDS[min(failures, len(_REOPEN_SECONDS) - 1)])
                    if self.prove is None or not await self.prove(partition, next_command):
                        log.info("partition %s: left alone until the group assigns it again", partition)
                        return
                began = asyncio.get_running_loop().time()
                owner = self._make_owner(partition)
                owner.begin_with(MAX_BATCH >> 2 * failures)
                await owner.open()
                log.info("partition %s: taken over in %.2f s", partition, asyncio.get_running_loop().time() - began)
                next_command = owner.next_command
                self._served[partition].owner = owner
                self._commands.add(owner)
                steady_at = _now() + STEADY_SECONDS
                await owner.run()
            except PenstockError as error:
                failures = _counted(failures, steady_at)
                log.warning("partition %s: %s; opening it anew", partition, error)
            except Exception as error:
                end_if_out_of_memory(error)
                failures = _counted(failures, steady_at)
                log.exception("partition %s failed; opening it anew", partition)
            finally:
                if owner is not None:
                    await self._let_go(owner)

    async def _let_go(self, owner: PartitionOwner) -> None:
        self._commands.remove(owner)
        served = self._served.get(owner.partition)
        if served is not None and served.owner is owner:
            served.owner = None
        try:
            await asyncio.shield(owner.close())
        except Exception:  # it is out of use; what must be free for the next opening says so itself
            log.exception("partition %s: closing failed", owner.partition)


async def _ended(served: _Served) -> None:
    served.task.cancel()
    await asyncio.wait([served.task])


async def _bounded(served: _Served, waiting: Coroutine[None, None, None], seconds: float) -> bool:
    """Wait for this as long as the partition is served, but no longer than so; has it come about?"""
    task = asyncio.ensure_future(waiting)
    done, _ = await asyncio.wait((task, served.task), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    return task in done


def _counted(failures: int, steady_at: float) -> int:
    """Failures in a row. That a partition could be opened says little: what fails may be its first commit."""
    return 1 if _now() >= steady_at else failures + 1


def _now() -> float:
    return asyncio.get_running_loop().time()
