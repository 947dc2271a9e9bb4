"""An event loop without clock, threads or sockets: what is ready runs when it is told to, threads when they are.

So the real coroutines of a service run under one seeded scheduler. `asyncio.to_thread` puts work aside until
`finish_thread`; a timer comes when the world's clock has passed it; when the process dies, nothing runs any more.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any


class SimulatedLoop(asyncio.AbstractEventLoop):
    """One process's loop; `now` tells the world's time in milliseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []
        self._threads: deque[tuple[asyncio.Future[Any], Callable[[], object]]] = deque()
        self._tasks: list[asyncio.Task[Any]] = []
        self._dead = False
        self.failures: list[BaseException | str] = []
        """What nobody caught."""

    # ---- for the scheduler

    def run_ready(self) -> None:
        """Run what can run, until everything waits for something."""
        while self._timers and (self._timers[0].when() <= self.time() or self._timers[0].cancelled()):
            self._ready.append(heapq.heappop(self._timers))
        running = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            events._set_running_loop(running)

    def has_ready(self) -> bool:
        return bool(self._ready) or (bool(self._timers) and self._timers[0].when() <= self.time())

    def has_threads(self) -> bool:
        return bool(self._threads)

    def finish_thread(self) -> None:
        """Do what the thread that was begun first does."""
        future, work = self._threads.popleft()
        if future.cancelled():
            return
        try:
            result = work()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def next_timer(self) -> int | None:
        """When a timer is due next, in milliseconds."""
        times = [timer.when() for timer in self._timers if not timer.cancelled()]
        return round(min(times) * 1000) + 1 if times else None

    def die(self) -> None:
        """Nothing that was begun goes on, and nobody hears of it."""
        self._dead = True
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._ready.clear()
        self._threads.clear()
        self._timers.clear()

    # ---- for asyncio

    def time(self) -> float:
        return self._now() / 1000

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._dead:
            self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        if not self._dead:
            heapq.heappush(self._timers, timer)
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        self._tasks = [each for each in self._tasks if not each.done()]
        self._tasks.append(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., object], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        self._threads.append((future, lambda: func(*args)))
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._dead:
            self.failures.append(context.get("exception") or str(context.get("message")))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time has come."""
