"""What the server's processes cost: CPU and memory by name, children included."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds since the process began, and resident bytes now."""

    cpu_seconds: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The costs of all processes at one moment."""

    at: float
    costs: Mapping[str, Cost]
    machine_cpu_seconds: float
    """What all processes of the machine have used, accounted or not."""
    own_cpu_seconds: float
    """What the benchmark itself and the load generators that it has waited for have used."""

    def cpu_since(self, earlier: Reading) -> dict[str, float]:
        """CPU seconds by name; a process that is new since then counts from its beginning."""
        nothing = Cost(0.0, 0)
        return {
            name: max(cost.cpu_seconds - earlier.costs.get(name, nothing).cpu_seconds, 0.0)
            for name, cost in self.costs.items()
        }

    def seconds_since(self, earlier: Reading) -> float:
        return self.at - earlier.at

    def others_since(self, earlier: Reading) -> float:
        """Cores that processes which have nothing to do with the benchmark took in the meantime."""
        all_of_it = self.machine_cpu_seconds - earlier.machine_cpu_seconds
        accounted = sum(self.cpu_since(earlier).values()) + self.own_cpu_seconds - earlier.own_cpu_seconds
        return max(all_of_it - accounted, 0.0) / self.seconds_since(earlier)


class Accounts:
    """The processes to account, by name.

    A child belongs to the nearest ancestor that has a name, so a supervisor is not charged for the services that it
    started. A process that is gone costs nothing any more.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._names = {pid: name for name, pid in pids.items()}

    def names(self) -> list[str]:
        return list(self._names.values())

    def read(self) -> Reading:
        totals = dict.fromkeys(self._names.values(), Cost(0.0, 0))
        for pid, name in self._names.items():
            for process in self._own_tree(pid):
                totals[name] = _sum(totals[name], _cost(process))
        return Reading(time.monotonic(), totals, _machine(), _own())

    def gone(self) -> list[str]:
        """Names of processes that have ended."""
        return [name for pid, name in self._names.items() if not psutil.pid_exists(pid)]

    def wait_until_quiet(self, cores: float = 0.15, window_seconds: float = 1.0, limit_seconds: float = 60) -> bool:
        """Wait until all processes together use less than `cores` for a window; False when they never do."""
        deadline = time.monotonic() + limit_seconds
        before = self.read()
        while time.monotonic() < deadline:
            time.sleep(window_seconds)
            now = self.read()
            if sum(now.cpu_since(before).values()) < cores * now.seconds_since(before):
                return True
            before = now
        return False

    def _own_tree(self, pid: int) -> Iterable[psutil.Process]:
        """The process and its descendants, down to those with a name of their own."""
        try:
            process = psutil.Process(pid)
            children = process.children()
        except psutil.NoSuchProcess:
            return
        yield process
        for child in children:
            if child.pid not in self._names:
                yield from self._own_tree(child.pid)


def _cost(process: psutil.Process) -> Cost:
    try:
        times = process.cpu_times()
        return Cost(times.user + times.system, process.memory_info().rss)
    except psutil.Error:
        return Cost(0.0, 0)


def _machine() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0.0) + getattr(times, "irq", 0.0))


def _own() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _sum(one: Cost, other: Cost) -> Cost:
    return Cost(one.cpu_seconds + other.cpu_seconds, one.rss_bytes + other.rss_bytes)
