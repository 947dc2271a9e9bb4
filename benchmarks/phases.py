"""The phases of the benchmark: what each sends, waits for and reports."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from . import targets
from .app import RESUME, WAITING, event_name
from .load import Plan
from .processes import Accounts, Reading
from .profile import hotspots, sampling
from .results import BROKER, HARNESS, OTHERS, Figure, Phase, cpu_per_unit, rss, spread_figures, without
from .stack import Stack
from .targets import Target
from .timings import Timeline, accepted_per_second, spread, timeline
from .trace import Sent, read_calls, read_sent

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; the defaults are what targets are set for."""

    accept_batches: int = 300
    accept_batch_events: int = 100
    accept_batch_connections: int = 8
    accept_single: int = 6000
    accept_single_connections: int = 64
    saturate_runs: int = 2000
    low_load_runs: int = 300
    low_load_rate: float = 20.0
    #: Enough for the broker's JVM to have compiled what it runs: a cold one takes twice the CPU a run.
    warm_up_runs: int = 3000
    idle_seconds: float = 12.0
    soak_rounds: int = 6
    run_timeout_seconds: float = 120.0


class Bench:
    """A server, an app that is registered with it, and the means to load and account them."""

    def __init__(self, stack: Stack, app_url: str, app_pid: int, sizes: Sizes, folder: Path) -> None:
        self.sizes = sizes
        self._stack = stack
        self._app_pid = app_pid
        self._accounts = self._current_accounts()
        self._control = httpx.Client(base_url=app_url.removesuffix(urlsplit(app_url).path), timeout=30)
        self._folder = folder
        self._next_event = time.time_ns() // 1_000_000 % 1_000_000_000 * 1000

    def warm_up(self) -> Phase:
        """Runs that nobody looks at: connections are made, code paths and caches are warm afterwards."""
        return self._runs("warm-up", "three", self.sizes.warm_up_runs, 0.0)

    def accept_batches(self) -> Phase:
        sizes = self.sizes
        events = sizes.accept_batches * sizes.accept_batch_events
        plan = self._plan("bench/accept", events, sizes.accept_batch_events, 0.0, sizes.accept_batch_connections)
        return self._accept(f"accept, batches of {plan.batch}", plan, targets.ACCEPT_BATCHES)

    def accept_single(self) -> Phase:
        sizes = self.sizes
        plan = self._plan("bench/accept", sizes.accept_single, 1, 0.0, sizes.accept_single_connections)
        return self._accept(f"accept, one by one over {plan.connections} connections", plan, targets.ACCEPT_SINGLE)

    def saturate(self, function: str) -> Phase:
        """All runs at once."""
        return self._runs(f"saturate {function}", function, self.sizes.saturate_runs, 0.0)

    def low_load(self, function: str) -> Phase:
        """Far below what the server can do: what remains is latency."""
        return self._runs(f"low load {function}", function, self.sizes.low_load_runs, self.sizes.low_load_rate)

    def resume(self) -> Phase:
        """Runs that wait are resumed far below what the server can do: from the event to the call that has it."""
        self._control.get("/control/calls").raise_for_status()
        count = self.sizes.low_load_runs
        plan = self._plan(event_name(WAITING), count, 100, 0.0, 4)
        started, _, _ = self._load(plan)
        self._wait_for("/control/waiting", sum(event.status == 200 for event in started))
        self._accounts.wait_until_quiet()
        self._control.get("/control/calls").raise_for_status()
        sent, before, _ = self._load(replace(plan, name=RESUME, batch=1, rate=self.sizes.low_load_rate, connections=64))
        good = sum(event.status == 200 for event in sent)
        ended = self._wait_for("/control/ended", good)
        self._accounts.wait_until_quiet()
        settled = self._accounts.read()
        found = timeline(sent, read_calls(self._control.get("/control/calls").content))
        resumed = spread_figures(
            "resume sent → resumed call", found.first_calls(), targets.RESUMED_P50, targets.RESUMED_P99
        )
        problems = (*_refused(started), *_refused(sent), *_shortfall(good, ended, found), *self._gone())
        figures = (*resumed, *_lateness(sent), _others(before, settled))
        return Phase(
            "resume waiting runs", figures, cpu_per_unit(before, settled, count), rss(settled), problems=problems
        )

    def soak(self) -> Phase:
        """Round after round of runs: what memory is gained after the first is what finished runs leave behind."""
        rounds = [self._runs(f"round {n}", "one", self.sizes.saturate_runs, 0.0) for n in range(self.sizes.soak_rounds)]
        memory = [without(found.rss_mb, BROKER, *HARNESS) for found in rounds]
        thousands = self.sizes.saturate_runs * (len(rounds) - 1) / 1000
        figures = (
            Figure("memory of the services, first round", memory[0], "MB"),
            Figure("memory of the services, last round", memory[-1], "MB", targets.SERVICES_RSS_MB),
            Figure("gained per 1,000 runs", (memory[-1] - memory[0]) / max(thousands, 1e-9), "MB"),
            *(
                Figure(
                    f"gained by {name} per 1,000 runs",
                    (last - rounds[0].rss_mb.get(name, last)) / max(thousands, 1e-9),
                    "MB",
                )
                for name, last in rounds[-1].rss_mb.items()
                if name not in HARNESS
            ),
        )
        problems = tuple(problem for found in rounds for problem in found.problems)
        return Phase(f"soak, {len(rounds)} rounds", figures, rss_mb=rounds[-1].rss_mb, problems=problems)

    def profile(self) -> Phase:
        """The services under saturation with a sampler at each: where time goes, not how fast it is."""
        pids = {name: pid for name, pid in self._stack.pids().items() if name not in (BROKER, "supervisor")}
        with sampling(pids, self._folder):
            found = self._runs("profile", "one", self.sizes.saturate_runs, 0.0)
        spots = {name: tuple(hotspots(self._folder, name)) for name in pids}
        return Phase("profile of saturate one", (), hotspots=spots, problems=found.problems)

    def idle(self) -> Phase:
        """Nothing to do: what it costs to be there."""
        self._accounts.wait_until_quiet()
        before = self._accounts.read()
        time.sleep(self.sizes.idle_seconds)
        after = self._accounts.read()
        seconds = after.seconds_since(before)
        percent = {name: used / seconds * 100 for name, used in after.cpu_since(before).items() if name != "app"}
        others = _others(before, after)
        services = Figure("services, of a core", without(percent, BROKER), "%", targets.IDLE_CORE_PERCENT)
        each = (Figure(f"{name}, of a core", value, "%") for name, value in percent.items())
        memory = without(rss(after), BROKER, *HARNESS)
        held = Figure("memory of the services", memory, "MB", targets.SERVICES_RSS_MB)
        return Phase("idle", (services, *each, held, others), rss_mb=rss(after), problems=self._gone())

    def _accept(self, name: str, plan: Plan, target: Target) -> Phase:
        sent, before, after = self._load(plan)
        waits = spread(event.answered - event.sent for event in sent[:: plan.batch])
        figures = (
            Figure("accepted", accepted_per_second(sent), "events/s", target),
            *spread_figures("request", waits),
            _others(before, after),
        )
        self._accounts.wait_until_quiet()
        costs = cpu_per_unit(before, self._accounts.read(), plan.count)
        return Phase(name, figures, costs, rss(after), problems=(*_refused(sent), *self._gone()))

    def _runs(self, name: str, function: str, count: int, rate: float) -> Phase:
        self._control.get("/control/calls").raise_for_status()
        batch, connections = (1, 64) if rate else (100, 4)
        plan = self._plan(event_name(function), count, batch, rate, connections)
        sent, before, _ = self._load(plan)
        good = sum(event.status == 200 for event in sent)
        ended = self._wait_for("/control/ended", good)
        after = self._accounts.read()
        # What is still written behind the last run (history, offsets) belongs to the runs, too.
        self._accounts.wait_until_quiet()
        settled = self._accounts.read()
        found = timeline(sent, read_calls(self._control.get("/control/calls").content))
        costs = cpu_per_unit(before, settled, count)
        problems = (*_refused(sent), *_shortfall(good, ended, found), *self._gone())
        figures = _saturated(found, function, costs) if rate == 0 else _unhurried(found, sent)
        return Phase(name, (*figures, _others(before, after)), costs, rss(after), problems=problems)

    def _plan(self, name: str, count: int, batch: int, rate: float, connections: int) -> Plan:
        place = urlsplit(self._stack.url)
        first, self._next_event = self._next_event, self._next_event + count
        return Plan(
            host=place.hostname or "127.0.0.1",
            port=place.port or 80,
            event_key=self._stack.event_key,
            name=name,
            first=first,
            count=count,
            batch=batch,
            rate=rate,
            connections=connections,
        )

    def _load(self, plan: Plan) -> tuple[list[Sent], Reading, Reading]:
        """Send the plan from a process of its own; what was sent, and the accounts before and after."""
        path = self._folder / "plan.json"
        path.write_bytes(plan.to_json())
        before = self._accounts.read()
        command = [sys.executable, "-m", "benchmarks.load", str(path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)
        return read_sent(done.stdout), before, self._accounts.read()

    def _wait_for(self, counted: str, count: int) -> int:
        """What the app counts, as soon as it is `count`, or when the time is up."""
        deadline = time.monotonic() + self.sizes.run_timeout_seconds
        while (found := int(self._control.get(counted).content)) < count:
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        return found

    def _current_accounts(self) -> Accounts:
        return Accounts({**self._stack.pids(), "app": self._app_pid})

    def _gone(self) -> tuple[str, ...]:
        """What has ended during the phase; the next one accounts what was started instead."""
        gone = tuple(f"process {name} has ended" for name in self._accounts.gone())
        self._accounts = self._current_accounts()
        return gone


def all_phases(bench: Bench) -> list[tuple[str, Callable[[], Phase]]]:
    """Every phase by its short name, in order; the warm-up is not among them."""
    return [
        ("accept-batches", bench.accept_batches),
        ("accept-single", bench.accept_single),
        ("saturate-one", lambda: bench.saturate("one")),
        ("saturate-three", lambda: bench.saturate("three")),
        ("low-one", lambda: bench.low_load("one")),
        ("low-three", lambda: bench.low_load("three")),
        ("resume", bench.resume),
        ("soak", bench.soak),
        ("idle", bench.idle),
        ("profile", bench.profile),
    ]


def _saturated(found: Timeline, function: str, costs: dict[str, float]) -> tuple[Figure, ...]:
    one = function == "one"
    return (
        Figure("runs", found.runs_per_second(), "runs/s", targets.SATURATED_ONE if one else None),
        Figure("CPU a run", without(costs, *HARNESS), "ms", targets.CPU_MS_PER_RUN if one else None),
        *spread_figures("sent → first call", found.first_calls()),
        *spread_figures("step end → next step", found.between_steps()),
        *spread_figures("sent → run end", found.whole_runs()),
    )


def _unhurried(found: Timeline, sent: Sequence[Sent]) -> tuple[Figure, ...]:
    return (
        *spread_figures("sent → first call", found.first_calls(), targets.FIRST_CALL_P50, targets.FIRST_CALL_P99),
        *spread_figures(
            "step end → next step", found.between_steps(), targets.STEP_TO_STEP_P50, targets.STEP_TO_STEP_P99
        ),
        *spread_figures("sent → run end", found.whole_runs()),
        *_lateness(sent),
    )


def _lateness(sent: Sequence[Sent]) -> tuple[Figure, ...]:
    late = spread(event.sent - event.scheduled for event in sent)
    return () if late is None else (Figure("generator late p99", late.p99, "ms"),)


def _others(before: Reading, after: Reading) -> Figure:
    """Says how much a reader may trust the rest."""
    return Figure(OTHERS, after.others_since(before), "cores")


def _refused(sent: Sequence[Sent]) -> tuple[str, ...]:
    statuses = [event.status for event in sent]
    return tuple(
        f"{statuses.count(status):,} events got {status or 'no answer'}"
        for status in sorted(set(statuses))
        if status != 200
    )


def _shortfall(accepted: int, ended: int, found: Timeline) -> tuple[str, ...]:
    problems = []
    if ended < accepted:
        problems.append(f"{accepted - ended:,} of {accepted:,} accepted runs did not end in time")
    if found.repeated_calls:
        problems.append(f"{found.repeated_calls:,} calls came twice")
    if found.unknown_calls:
        problems.append(f"{found.unknown_calls:,} calls for events of earlier phases")
    return tuple(problems)
