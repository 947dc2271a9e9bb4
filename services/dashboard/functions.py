"""Functions: triggers, limits, versions, and how they have been doing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ..errors import InvalidRegistration
from ..functions.config import FunctionConfig, Trigger
from ..functions.flow_control import FlowControl, RateLimit, Throttle
from ..history.paging import Counted, PageRequest
from ..history.read import Found
from ..history.run_list import RunFilter
from .desk import Desk, NotFound
from .plots import bars, lines
from .search import PERIODS
from .times import duration

#: Each bucket is a question to history: enough of them to see a shape, few enough to be answered at once.
BUCKETS = {"15m": 30, "1h": 30, "24h": 24, "7d": 28, "30d": 30}
DEFAULT_PERIOD = "24h"


@dataclass(frozen=True, slots=True)
class Summary:
    """A function in the list, with the runs of the last day."""

    row: Found
    triggers: tuple[Trigger, ...]
    limits: tuple[str, ...]
    problem: str
    """Why its configuration cannot be read; empty as a rule."""
    runs: int
    failed: int
    running: int

    @property
    def failure_share(self) -> float:
        ended = self.runs - self.running
        return self.failed / ended if ended > 0 else 0.0


@dataclass(frozen=True, slots=True)
class FunctionsView:
    """`/functions` and `/functions/{key}`."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        return [
            self.desk.route("/functions", self.all),
            self.desk.route("/functions/{key:path}", self.show),
        ]

    async def all(self, request: Request) -> Response:
        app, now = request.query_params.get("app", ""), self.desk.now()
        history = self.desk.history
        rows, overview = await asyncio.gather(
            self.desk.read(history.functions.all, app),
            self.desk.read(history.statistics.overview, now - PERIODS["24h"], now),
        )
        functions = [summary(row, overview.get(row.key, {})) for row in rows]
        return self.desk.page(request, "functions.html", functions=functions, app=app)

    async def show(self, request: Request) -> Response:
        key, now = request.path_params["key"], self.desk.now()
        period = request.query_params.get("period", DEFAULT_PERIOD)
        period = period if period in PERIODS else DEFAULT_PERIOD
        history = self.desk.history
        row = await self.desk.read(history.functions.one, key)
        if row is None:
            raise NotFound(f"no function is called {key[:200]!r}; Functions lists all of them")
        versions, buckets, recent = await asyncio.gather(
            self.desk.read(history.functions.versions, key),
            self.desk.read(history.statistics.of_function, key, now - PERIODS[period], now, BUCKETS[period]),
            self.desk.read(history.runs.page, RunFilter(functions=(key,)), PageRequest(limit=10)),
        )
        config, problem = stored(row)
        totals = total(bucket.counts for bucket in buckets)
        return self.desk.page(
            request,
            "function.html",
            function=row,
            config=config,
            limits=limits(config) if config else (),
            problem=problem,
            versions=versions,
            recent=recent.rows,
            period=period,
            periods=PERIODS,
            totals=totals,
            volume=bars([b.start for b in buckets], [b.counts for b in buckets]),
            latency=lines({name: [getattr(b, name) for b in buckets] for name in ("p50", "p90", "p99")}),
            delay=lines({"p50": [b.wait_p50 for b in buckets], "p99": [b.wait_p99 for b in buckets]}),
            raw=config.raw if config else row.config,
        )


def summary(row: Found, counts: Mapping[str, Counted]) -> Summary:
    config, problem = stored(row)
    number = {status: counted.count for status, counted in counts.items()}
    return Summary(
        row=row,
        triggers=config.triggers if config else (),
        limits=limits(config) if config else (),
        problem=problem,
        runs=sum(number.values()),
        failed=number.get("Failed", 0),
        running=number.get("Running", 0),
    )


def stored(row: Found) -> tuple[FunctionConfig | None, str]:
    """The configuration, or why another client's record of the function holds none that can be read."""
    try:
        return FunctionConfig.from_json(row.config), ""
    except InvalidRegistration as error:
        return None, str(error)


def total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum over all buckets, by status."""
    found: dict[str, int] = {}
    for each in counts:
        for status, number in each.items():
            found[status] = found.get(status, 0) + number
    return found


def limits(config: FunctionConfig) -> tuple[str, ...]:
    """What decides when its runs proceed, in words."""
    flow = FlowControl.from_raw(config.raw)
    found = [f"retries {config.retries}"]
    if flow.concurrency is not None:
        both = (("runs", flow.concurrency.fn), ("steps", flow.concurrency.step))
        found += [f"concurrency {one.limit} {what}{_by(one.key)}" for what, each in both for one in each if one.limit]
    if flow.throttle is not None:
        found.append(f"throttle {_rate(flow.throttle)}")
    if flow.rate_limit is not None:
        found.append(
            f"rate limit {flow.rate_limit.limit} / {_length(flow.rate_limit.period)}{_by(flow.rate_limit.key)}"
        )
    if flow.debounce is not None:
        found.append(f"debounce {_length(flow.debounce.period)}{_by(flow.debounce.key)}")
    if flow.batch_events is not None:
        found.append(f"batch {flow.batch_events.max_size} in {_length(flow.batch_events.timeout)}")
    if flow.singleton is not None:
        found.append(f"singleton {flow.singleton.mode}{_by(flow.singleton.key)}")
    if flow.idempotency:
        found.append(f"idempotent by {flow.idempotency}")
    if flow.priority is not None and flow.priority.run:
        found.append(f"priority {flow.priority.run}")
    found += [f"cancelled by {cancel.event}" for cancel in flow.cancel]
    if flow.timeouts is not None:
        both_timeouts = (("start", flow.timeouts.start), ("finish", flow.timeouts.finish))
        found += [f"{what} within {_length(length)}" for what, length in both_timeouts if length is not None]
    return tuple(found)


def _rate(limit: Throttle | RateLimit) -> str:
    return f"{limit.limit} / {_length(limit.period)}{_by(limit.key)}"


def _by(key: str | None) -> str:
    return f" by {key}" if key else ""


def _length(length: timedelta) -> str:
    return duration(int(length.total_seconds() * 1000))
