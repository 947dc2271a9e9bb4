"""A monkey on a whole Penstock: from a seed, it kills, stops, adds and removes processes, until it is told to end."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from penstock.cli.leash import Leashed
from tests.stack import Stack

#: How often each is chosen, compared with the others.
KILLED = {"matcher": 3, "executor": 4, "history": 2, "ingest": 2, "replayer": 1, "broker": 1}
STOPPED = {"matcher": 2, "executor": 3, "history": 1, "ingest": 1, "broker": 1}
#: Processes beside the supervised ones: at most so many.
BESIDE = {"executor": 2, "matcher": 1}
#: Up to twice the session timeout: an owner that wakes up may have been replaced.
STOP_SECONDS = (0.5, 13.0)
END_SECONDS = 30.0


class Monkey:
    """Acts in a thread, one deed after the other; `deeds` counts them by kind."""

    def __init__(self, stack: Stack, seed: int, pause: tuple[float, float], say: Callable[[str], None]) -> None:
        self.deeds: Counter[str] = Counter()
        self._stack = stack
        self._rng = random.Random(f"monkey {seed}")
        self._pause = pause
        self._say = say
        self._beside: dict[str, list[Leashed]] = {service: [] for service in BESIDE}
        self._ending = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._act, name="monkey", daemon=True)

    def __enter__(self) -> Monkey:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let everything go on as it is now; raises what went wrong with the monkey itself."""
        self._ending.set()
        self._thread.join(2 * END_SECONDS + 120)
        if self._error is not None:
            raise self._error

    def _act(self) -> None:
        try:
            while not self._ending.wait(self._rng.uniform(*self._pause)):
                for deed in self._deed():
                    self.deeds[deed] += 1
                    self._say(f"{time.strftime('%H:%M:%S')} {deed}")
        except BaseException as error:
            self._say(f"{time.strftime('%H:%M:%S')} the monkey is out of action: {error!r:.300}")
            self._error = error

    def _deed(self) -> Iterator[str]:
        """Do one thing; what was done."""
        choices = [self._kill] * 5 + [self._halt] * 3 + [self._add] * 2 + [self._remove] * 2 + [self._kill_two]
        yield from self._rng.choice(choices)()

    def _kill(self) -> Iterator[str]:
        service = self._one_of(KILLED)
        if self._send(service, signal.SIGKILL):
            yield f"kill -9 {service}"

    def _kill_two(self) -> Iterator[str]:
        """Both at the same moment."""
        first, second = self._rng.sample(sorted(KILLED), 2)
        done = [service for service in (first, second) if self._send(service, signal.SIGKILL)]
        yield from (f"kill -9 {service}" for service in done)

    def _halt(self) -> Iterator[str]:
        """The process stands still for a while, and then goes on as if nothing had happened."""
        service = self._one_of(STOPPED)
        pid = self._send(service, signal.SIGSTOP)
        if not pid:
            return
        seconds = self._rng.uniform(*STOP_SECONDS)
        try:
            yield f"stop {service}"
            self._ending.wait(seconds)
        finally:
            if self._stack.pids().get(service) == pid:
                self._send(service, signal.SIGCONT)

    def _add(self) -> Iterator[str]:
        """One more executor or matcher takes partitions over."""
        service = self._rng.choice(sorted(BESIDE))
        if len(self._beside[service]) < BESIDE[service]:
            yield f"add {service}"
            self._beside[service].append(self._stack.start_service(service))

    def _remove(self) -> Iterator[str]:
        """One that was added ends: in order, or not."""
        there = [service for service, processes in self._beside.items() if processes]
        if not there:
            return
        service = self._rng.choice(there)
        process = self._beside[service].pop(0)
        if self._rng.random() < 0.5:
            yield f"kill -9 {service} that was added"
            process.send(signal.SIGKILL)
        else:
            yield f"remove {service}"
            process.stop(END_SECONDS)

    def _one_of(self, weights: dict[str, int]) -> str:
        return self._rng.choices(list(weights), list(weights.values()))[0]

    def _send(self, service: str, signal_number: int) -> int:
        """The process that got it; 0 when there is none at the moment."""
        try:
            return self._stack.kill(service, signal_number)
        except ProcessLookupError:
            return 0
