"""What the RocksDB state does alone: restoring from a changelog, reading, and popping timers.

python -m benchmarks.state [--keys N] [--timers N]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from penstock.state.rocks import RocksStore
from penstock.state.store import Change, PartitionState

VALUE = random.Random(1).randbytes(120) + b"x" * 80
BATCH = 5000
TIMERS, TIMERS_END = b"\0t", b"\0u"


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=500_000)
    parser.add_argument("--timers", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = RocksStore(Path(folder)).open(0)
        before = psutil.Process().memory_info().rss
        report("restore, batches of 5,000", restore(state, options.keys), "keys/s")
        report("get, anywhere", read_anywhere(state, options.keys), "reads/s")
        report("get, of the last 1,000", read_recent(state, options.keys), "reads/s")
        report("scan one run's steps", scan_runs(state, options.keys), "scans/s")
        fill_timers(state, options.timers)
        report(
            "pop timers one by one, from the last popped",
            pop_from_last(state, options.timers // 2),
            "timers/s",
        )
        report("pop timers one by one, from the front", pop_from_front(state, options.timers // 20), "timers/s")
        report("pop timers by 500, from the last popped", pop_many(state), "timers/s")
        report("memory gained", (psutil.Process().memory_info().rss - before) / 1e6, "MB")
        state.close()


def report(name: str, number: float, unit: str) -> None:
    print(f"{name:48} {number:>12,.0f} {unit}", flush=True)


def key(number: int) -> bytes:
    """Keys as the changelog has them, three steps a run, in no order."""
    run, step = divmod(number, 3)
    return b"step/%026d/%040x" % (run * 7919 % 1_000_003, step)


def restore(state: PartitionState, count: int) -> float:
    """Fold a changelog of `count` different keys."""
    began = time.perf_counter()
    for first in range(0, count, BATCH):
        last = min(first + BATCH, count)
        state.apply([(key(number), VALUE) for number in range(first, last)], last, 0)
    return count / (time.perf_counter() - began)


def read_anywhere(state: PartitionState, count: int, reads: int = 30_000) -> float:
    numbers = random.Random(2).choices(range(count), k=reads)
    began = time.perf_counter()
    for number in numbers:
        assert state.get(key(number)) is not None
    return reads / (time.perf_counter() - began)


def read_recent(state: PartitionState, count: int, reads: int = 30_000) -> float:
    began = time.perf_counter()
    for read in range(reads):
        assert state.get(key(count - 1 - read % 1000)) is not None
    return reads / (time.perf_counter() - began)


def scan_runs(state: PartitionState, count: int, scans: int = 10_000) -> float:
    began = time.perf_counter()
    for scan in range(scans):
        prefix = key(count - 3 - scan % 1000 * 3)[:32]
        assert any(state.scan(prefix, prefix + b"\xff"))
    return scans / (time.perf_counter() - began)


def fill_timers(state: PartitionState, count: int) -> None:
    """Timers in the index's shape, all due."""
    for first in range(0, count, BATCH):
        timers = [(timer(number), b"") for number in range(first, min(first + BATCH, count))]
        state.apply(timers, first, 0)


def timer(number: int) -> bytes:
    return TIMERS + number.to_bytes(8, "big") + b"job/%026d/sleep/x" % number


def pop_from_last(state: PartitionState, pops: int) -> float:
    """As the executor does: one applied at a time, the next search begins where this one ended."""
    place = TIMERS
    began = time.perf_counter()
    for number in range(pops):
        place, _ = next(state.scan(place, TIMERS_END, 1))
        state.apply([(place, None)], number, 0)
    return pops / (time.perf_counter() - began)


def pop_from_front(state: PartitionState, pops: int) -> float:
    """As nobody should: every search begins at the front and passes over all that was popped."""
    began = time.perf_counter()
    for number in range(pops):
        place, _ = next(state.scan(TIMERS, TIMERS_END, 1))
        state.apply([(place, None)], number, 0)
    return pops / (time.perf_counter() - began)


def pop_many(state: PartitionState) -> float:
    """All that are left, some hundred to an application."""
    began = time.perf_counter()
    popped = sum(map(len, _popped(state, 500)))
    return popped / (time.perf_counter() - began)


def _popped(state: PartitionState, size: int) -> Iterator[list[Change]]:
    place = TIMERS
    while pairs := list(state.scan(place, TIMERS_END, size)):
        gone: list[Change] = [(each, None) for each, _ in pairs]
        state.apply(gone, 0, 0)
        place = pairs[-1][0]
        yield gone


if __name__ == "__main__":
    main()
