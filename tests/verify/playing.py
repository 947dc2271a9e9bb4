"""A verification with a monkey, on processes of its own: what CI runs for minutes, and `make verify` for an hour."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from penstock.audit.audit import audit
from penstock.cli.cluster import Cluster
from penstock.cli.ports import free_port
from penstock.settings import ClientSettings
from penstock.verification.errands import Installation
from penstock.verification.plan import Counts, Plan
from penstock.verification.verify import Listening, Seeds, verify
from tests.stack import Stack, wait_until

from .monkey import Monkey

#: The slowest way back is a minute: deliveries that stall end a matcher, transactions that hang are noticed. On a busy
#: machine, and hit once more on the way.
PLAN = Plan(runs=100, rate=15, patience=180, poison=True)
LAST_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    counts: Counts
    deeds: dict[str, int]
    findings: list[str]
    """Of the audit."""


def play(
    stack: Stack, seeds: Seeds, pause: tuple[float, float], say: Callable[[str], None], plan: Plan = PLAN
) -> Played:
    """Verify while the monkey is at work; it ends before the audit, when everything is up again."""
    installation = Installation(ClientSettings(url=stack.url), stack.kafka)
    listening = Listening("127.0.0.1", free_port())
    findings: list[str] = []
    with Monkey(stack, seeds.first, pause, say) as monkey:

        def check() -> None:
            monkey.end()
            wait_until(stack.is_ready, 120, stack.text)
            findings.extend(audit(stack.kafka, stack.data_dirs, say).lines())

        counts = asyncio.run(
            verify(installation, listening, seeds, plan, lambda: describe(stack), check, say, monkey.begin)
        )
    return Played(counts, dict(monkey.deeds), findings)


def describe(stack: Stack) -> str:
    """Lag of all groups, the last lines of the log, and the stacks of all processes; what fails says so."""
    return "\n".join([*_lags(stack), stack.text()[-LAST_CHARACTERS:], *_stacks(stack)])


def _lags(stack: Stack) -> Iterable[str]:
    try:
        for each in Cluster(stack.kafka).lags():
            yield f"{each.group} {each.topic}/{each.partition}: {each.committed} of {each.end}, owner {each.owner!r}"
    except Exception as error:  # a broker that is away must not hide the rest
        yield f"lags: {error}"


def _stacks(stack: Stack) -> Iterable[str]:
    """Of the supervised processes, and of those that the monkey added."""
    processes = {service: pid for service, pid in _supervised(stack).items() if service != "broker"}
    processes |= {f"added: {pid}": pid for pid in stack.added_pids()}
    for name, pid in processes.items():
        yield f"---- {name}\n{_stack(pid)}"


def _supervised(stack: Stack) -> dict[str, int]:
    try:
        return stack.pids()
    except (OSError, ValueError):  # the supervisor is gone, or was killed as it wrote
        return {}


def _stack(pid: int) -> str:
    """By the py-spy that is installed beside this Python; a process that stands still has stacks, too."""
    command = [str(Path(sys.executable).with_name("py-spy")), "dump", "--nonblocking", "--pid", str(pid)]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no stack: {error}"
    return shown.stdout or shown.stderr
