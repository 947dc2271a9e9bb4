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

KILLED = ("matcher", "executor", "history", "ingest", "replayer", "broker")
STOPPED = ("matcher", "executor", "history", "ingest", "broker")
#: One of each kind, so that none is long in coming; what found most comes more often.
DECK = (
    *(f"kill -9 {service}" for service in (*KILLED, "executor")),
    *(f"stop {service}" for service in (*STOPPED, "executor")),
    "add executor",
    "add matcher",
    "remove executor",
    "remove matcher",
    "kill two",
)
#: So many cards further on in its deck does a seed begin than the one before it.
HAND = 4
DEALT = -(-len(DECK) // HAND)
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
        self.begin(seed)
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

    def begin(self, seed: int) -> None:
        """From now on, the deeds of this seed: the same whichever was played before it."""
        self._rng = random.Random(f"monkey {seed}")
        self._hand = hand(seed)

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
        what, _, service = next(self._hand).rpartition(" ")
        match what:
            case "kill -9":
                yield from self._kill(service)
            case "stop":
                yield from self._halt(service)
            case "add":
                yield from self._add(service)
            case "remove":
                yield from self._remove(service)
            case _:
                for each in self._rng.sample(KILLED, 2):
                    yield from self._kill(each)

    def _kill(self, service: str) -> Iterator[str]:
        if self._send(service, signal.SIGKILL):
            yield f"kill -9 {service}"

    def _halt(self, service: str) -> Iterator[str]:
        """The process stands still for a while, and then goes on as if nothing had happened."""
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

    def _add(self, service: str) -> Iterator[str]:
        """One more executor or matcher takes partitions over."""
        if len(self._beside[service]) < BESIDE[service]:
            yield f"add {service}"
            self._beside[service].append(self._stack.start_service(service))

    def _remove(self, service: str) -> Iterator[str]:
        """One that was added, now if there is none, ends: in order, or not."""
        if not self._beside[service]:
            yield from self._add(service)
        process = self._beside[service].pop(0)
        if self._rng.random() < 0.5:
            yield f"kill -9 {service} that was added"
            process.send(signal.SIGKILL)
        else:
            yield f"remove {service}"
            process.stop(END_SECONDS)

    def _send(self, service: str, signal_number: int) -> int:
        """The process that got it; 0 when there is none at the moment."""
        try:
            return self._stack.kill(service, signal_number)
        except ProcessLookupError:
            return 0


def hand(seed: int) -> Iterator[str]:
    """The cards of a seed, for ever: neighbours among the seeds go through one shuffled deck."""
    deck = random.Random(f"deck {seed // DEALT}").sample(DECK, len(DECK))
    start = seed % DEALT * HAND % len(DECK)
    while True:
        yield from deck[start:]
        yield from deck[:start]
