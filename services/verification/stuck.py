"""Notices early that nothing goes on, and says all that is known about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .programs import Program
from .reckoning import SeenRun
from .watch import ChangelogWatch

MOST_RUNS = 5

#: More about the installation: lag and offsets of its groups, stacks of its processes.
Describe = Callable[[], str]


class Stuck(AssertionError):
    """Nothing has happened for longer than the patience, and runs are left."""


def description(
    missing: Sequence[int],
    waiting: Sequence[SeenRun],
    programs: Sequence[Program],
    watch: ChangelogWatch,
    describe: Describe,
) -> str:
    """Which events have started nothing, which runs have not ended, their changelog, and the installation's state."""
    lines = [f"events without a run: {list(missing[:20])}", f"{len(waiting)} runs have not ended; the first of them:"]
    for run in waiting[:MOST_RUNS]:
        lines.append(f"  {run.id} of f{run.program}, k={run.k}, has results of {sorted(run.steps)}")
        lines += [f"    {entry}" for entry in watch.entries(run.id)]
    return "\n".join([*lines, *map(str, programs), state_of(describe)])


def state_of(describe: Describe) -> str:
    """Why a part of it cannot be had, rather than an error in place of what was found."""
    try:
        return describe()
    except Exception as error:
        return f"the installation's state cannot be had: {error!r}"
