"""Where the services' Python time goes while they are busy: py-spy's samples, summed by function.

What librdkafka, RocksDB and the kernel use without the interpreter is not in it; the CPU by process is.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SAMPLES_PER_SECOND = 100
_LONGEST_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Hotspot:
    """A function, and its share of a process's samples: itself alone, and with all that it called."""

    function: str
    alone: float
    with_calls: float


@contextmanager
def sampling(pids: Mapping[str, int], folder: Path) -> Iterator[None]:
    """Sample the processes while the block runs; `<folder>/<name>.stacks` has the result.

    A process that cannot be sampled (no permission) just has no result.
    """
    samplers = [_sampler(pid, _stacks(folder, name)) for name, pid in pids.items()]
    try:
        yield
    finally:
        for sampler in samplers:
            sampler.send_signal(2)  # py-spy writes its file on SIGINT
        for sampler in samplers:
            sampler.wait(60)


def hotspots(folder: Path, name: str, count: int = 8) -> list[Hotspot]:
    """The functions that most samples were taken in, by their own share."""
    path = _stacks(folder, name)
    return summarise(path.read_text("utf-8").splitlines(), count) if path.exists() else []


def summarise(lines: Iterable[str], count: int) -> list[Hotspot]:
    """Sum collapsed stacks (`a;b;c 12`), the innermost function last."""
    alone: Counter[str] = Counter()
    with_calls: Counter[str] = Counter()
    for line in lines:
        stack, _, samples = line.rpartition(" ")
        frames = [_function(frame) for frame in stack.split(";")]
        alone[frames[-1]] += int(samples)
        for frame in set(frames):
            with_calls[frame] += int(samples)
    total = alone.total()
    return [
        Hotspot(function, samples / total, with_calls[function] / total)
        for function, samples in alone.most_common(count)
    ]


def _sampler(pid: int, output: Path) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--format", "raw"]
    # Only who holds the interpreter: librdkafka's and the event loop's threads would be seen as busy while they wait.
    command += ["--gil"]
    command += [
        "--rate",
        str(SAMPLES_PER_SECOND),
        "--duration",
        str(_LONGEST_SECONDS),
        "--output",
        str(output),
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _stacks(folder: Path, name: str) -> Path:
    return folder / f"{name}.stacks"


def _function(frame: str) -> str:
    """`apply (services/state/rocks.py:98)` without the line, so that a function is one entry."""
    name, _, place = frame.partition(" (")
    file = place.rstrip(")").rpartition(":")[0]
    for mark in ("site-packages/", "services/", "lib/python"):
        if mark in file:
            file = (mark if mark == "services/" else "") + file.rpartition(mark)[2]
            break
    return f"{name} ({file})" if file else name
