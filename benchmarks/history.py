"""The read model alone: what writing a run costs, and how long each question takes among 100,000 runs.

python -m benchmarks.history [--runs N] [--asks N] [--report FILE] [--writes-only]
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.history.database import prepare, reader_engine, writer_engine
from penstock.history.rows import RowFolder, Rows
from penstock.history.write import HistoryWriter, Move
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import DISCOVERY, FunctionKey, JobId, RunId, StepId, run_id, ulid
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import (
    Event,
    Function,
    JobScheduled,
    Record,
    RunEnded,
    RunProgressed,
    RunStarted,
    StepFinished,
)

NOW = 1_780_000_000_000
SPACING_MS = 36
BATCH_RUNS = 140
FUNCTIONS = ("shop/pay", "shop/ship", "shop/refund", "mail/welcome", "mail/digest")
RARE = "mail/rare"
CODEC = Codec()
Taken = tuple[bytes | None, bytes | None]


def main() -> None:
    """Print a table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--asks", type=int, default=100)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--writes-only", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'history.sqlite3'}"
        written = fill(url, options.runs)
        lines = [f"Writing: {written:.3f} ms of CPU a run (2 steps, 12 records of `run-state`, 2 events)."]
        load = f"{os.getloadavg()[0]:.0f} processes wanted the machine's {os.cpu_count()} cores meanwhile"
        lines.append(f"{load}, so compare CPU, and take the rest as what a busy machine gives.")
        print("\n".join(lines), flush=True)
        if not options.writes_only:
            lines += ["", *table(url, options.runs, options.asks)]
    if options.report:
        title = f"# History: {options.runs:,} runs on SQLite"
        options.report.write_text("\n".join([title, "", *lines]) + "\n", "utf-8")


def fill(url: str, count: int) -> float:
    """Write runs as the topics bring them; milliseconds of CPU for each, decoding included."""
    engine = writer_engine(url)
    prepare(engine)
    writer, folder = HistoryWriter(engine, "benchmark"), RowFolder(CODEC, IncomingEvents(CODEC))
    spent, position = 0.0, None
    write_functions(writer, folder)
    for first in range(0, count, BATCH_RUNS):
        records = [record for number in range(first, min(first + BATCH_RUNS, count)) for record in run_records(number)]
        began = time.process_time()
        rows = Rows()
        for offset, (key, value) in enumerate(records):
            if key is None:
                folder.add_event(rows, Arrival("events", 0, offset, NOW, value), internal=True)
            else:
                folder.add_state(rows, key, value)
        following = (position or 0) + len(records)
        writer.write(folder.settle(rows), [Move(("run-state", 0), position, following)])
        spent, position = spent + time.process_time() - began, following
    engine.dispose()
    return spent * 1000 / count


def write_functions(writer: HistoryWriter, folder: RowFolder) -> None:
    """The registry; a release without it in the read model has nothing to write."""
    if not hasattr(folder, "add_function"):
        return
    rows = Rows()
    for key in (*FUNCTIONS, RARE):
        app, slug = key.split("/")
        folder.add_function(rows, CODEC.encode(Function(FunctionKey(key), app, slug, slug, 1, "{}", NOW)))
    writer.write(rows, [Move(("functions", 0), None, 1)])


def run_records(number: int) -> Iterator[Taken]:
    """An event, its run of two steps with all its jobs, and the event at its end."""
    at = NOW + number * SPACING_MS
    function = FunctionKey(RARE if number % 2000 == 7 else FUNCTIONS[number % len(FUNCTIONS)])
    internal_id = ulid(at, number.to_bytes(10, "big"))
    user = f'{{"id":"customer-{number % 1000}"}}' if number % 10 == 0 else "{}"
    data = f'{{"amount":{number % 500},"currency":"EUR","lines":[{{"sku":"A-{number % 77}","count":2}}]}}'
    yield None, CODEC.encode(Event(f"{function}.asked", data, "", at, user, None, internal_id, at, "http"))
    run = run_id(function, internal_id, at)
    text = f'{{"id":"{internal_id}","name":"{function}.asked","data":{data},"user":{user},"ts":{at}}}'
    yield from state_records(run, function, internal_id, text, number, at)
    finished = ulid(at + 30, number.to_bytes(10, "big"))
    yield None, CODEC.encode(Event("inngest/function.finished", "{}", run, at, "{}", None, finished, at + 30, "system"))


def state_records(run: RunId, function: FunctionKey, event_id: str, text: str, number: int, at: int) -> Iterator[Taken]:
    """What the run's owner wrote."""

    def state(key: bytes, record: Record | None) -> Taken:
        return key, None if record is None else CODEC.encode(record)

    yield state(keys.run_key(run), RunStarted(run, function, 1, (text,), (event_id,), 5, at, at + 2))
    job = JobId("discover/start")
    yield state(keys.job_key(run, job), JobScheduled(run, job, "call", DISCOVERY, at, at))
    for position, name in enumerate(("charge", "notify")):
        step, output = StepId(f"{position:040x}"), f'{{"data":{{"ok":true,"number":{number}}}}}'
        finished = StepFinished(run, step, position, "StepRun", name, output, at + 5, at + 12)
        yield state(keys.step_key(run, step), finished)
        yield state(keys.job_key(run, job), None)
        job = JobId(f"discover/{step}")
        yield state(keys.job_key(run, job), JobScheduled(run, job, "call", DISCOVERY, at + 12, at + 12))
        yield state(keys.progress_key(run), RunProgressed(run, 2, False, ()))
    yield from _ending(run, job, number, at)


def _ending(run: RunId, job: JobId, number: int, at: int) -> Iterator[Taken]:
    if number % 100 == 3:
        waiting = JobId("wait/review")
        detail = '{"event":"shop/reviewed","until":1790000000000}'
        scheduled = JobScheduled(run, waiting, "wait", StepId("ab"), at + 10**9, at, "review", detail=detail)
        yield keys.job_key(run, waiting), CODEC.encode(scheduled)
        return
    kind = number * 7919 % 1009
    status = "Failed" if kind < 50 else "Cancelled" if kind < 70 else "Completed"
    output = '{"name":"Error","message":"card declined"}' if status == "Failed" else f'{{"total":{number % 500}}}'
    yield keys.job_key(run, job), None
    yield keys.end_key(run), CODEC.encode(RunEnded(run, status, output, at + 20 + number % 900, at))


@dataclass(frozen=True, slots=True)
class Asked:
    """One question's times in milliseconds, what of them was its own CPU, and whether its answer was whole."""

    name: str
    times: Sequence[float]
    spent: Sequence[float]
    note: str

    def row(self) -> str:
        times = sorted(self.times)
        p50, p99 = times[len(times) // 2], times[math.ceil(len(times) * 0.99) - 1]
        spent = sorted(self.spent)
        cpu = f"{spent[len(spent) // 2]:.1f} | {spent[math.ceil(len(spent) * 0.99) - 1]:.1f}"
        return f"| {self.name} | {p50:.1f} | {p99:.1f} | {cpu} | {self.note} |"


def table(url: str, count: int, asks: int) -> list[str]:
    """Ask every question several times; a line each."""
    lines = ["| question | p50 ms | p99 ms | CPU p50 ms | CPU p99 ms | |", "|---|---|---|---|---|---|"]
    for name, ask in questions(url, count).items():
        note, times, spent = "", [], []
        ask()  # the first one compiles the statement, once for a process
        for _ in range(asks):
            began, cpu = time.perf_counter(), time.process_time()
            note = _note(ask())
            times.append((time.perf_counter() - began) * 1000)
            spent.append((time.process_time() - cpu) * 1000)
        lines.append(Asked(name, times, spent, note).row())
        print(lines[-1], flush=True)
    return lines


def _note(answer: object) -> str:
    """How much came; a search that used up its time says so."""
    rows, complete = getattr(answer, "rows", None), getattr(answer, "complete", True)
    counted = getattr(answer, "count", None)
    if isinstance(counted, int):
        return f"{'' if getattr(answer, 'exact', True) else 'at least '}{counted:,}"
    return f"{len(rows)} rows{'' if complete else ', to be continued'}" if rows is not None else ""


def questions(url: str, count: int) -> dict[str, Callable[[], object]]:
    """Every filter of the lists, the worst of each kind."""
    # Imported here, so that writing can be measured in a release that has no such lists.
    from penstock.history.event_list import EventFilter
    from penstock.history.paging import PageRequest
    from penstock.history.read import HistoryReadModel
    from penstock.history.run_list import RunFilter
    from penstock.history.wait_list import WaitFilter

    model = HistoryReadModel(reader_engine(url))
    runs, events, page = model.runs, model.events, PageRequest(limit=50)
    middle = NOW + count // 2 * SPACING_MS
    end = NOW + count * SPACING_MS
    some = runs.page(RunFilter(), page).rows[7].run_id
    deep = PageRequest(limit=50, cursor=ulid(middle, bytes(10)))
    return {
        "runs": lambda: runs.page(RunFilter(), page),
        "runs, from the middle on": lambda: runs.page(RunFilter(), deep),
        "runs, oldest first": lambda: runs.page(RunFilter(), PageRequest(limit=50, descending=False)),
        "runs: failed": lambda: runs.page(RunFilter(statuses=("Failed",)), page),
        "runs: running or cancelled": lambda: runs.page(RunFilter(statuses=("Running", "Cancelled")), page),
        "runs: a function": lambda: runs.page(RunFilter(functions=("shop/pay",)), page),
        "runs: a rare function": lambda: runs.page(RunFilter(functions=(RARE,)), page),
        "runs: a rare function, cancelled": lambda: runs.page(RunFilter(("Cancelled",), (RARE,)), page),
        "runs: an app, failed": lambda: runs.page(RunFilter(("Failed",), apps=("shop",)), page),
        "runs: queued in one hour": lambda: runs.page(RunFilter(since=middle, until=middle + 3_600_000), page),
        "runs: ended in one hour": lambda: runs.page(
            RunFilter(time_field="ended", since=middle, until=middle + 3_600_000), page, "ended"
        ),
        "runs by end": lambda: runs.page(RunFilter(), page, "ended"),
        "runs by start: failed": lambda: runs.page(RunFilter(statuses=("Failed",)), page, "started"),
        "runs by end: a rare function": lambda: runs.page(RunFilter(functions=(RARE,)), page, "ended"),
        "runs of a user": lambda: runs.page(RunFilter(user="customer-70"), page),
        "runs of a user, failed": lambda: runs.page(RunFilter(("Failed",), user="customer-70"), page),
        "runs: text, frequent": lambda: runs.page(RunFilter(text="declined"), page),
        "runs: text, nowhere": lambda: runs.page(RunFilter(text="no such text"), page),
        "runs: text is an id": lambda: runs.page(RunFilter(text=some), page),
        "runs: CEL, frequent": lambda: runs.page(RunFilter(cel="event.data.amount > 250"), page),
        "runs: CEL over output, rare": lambda: runs.page(RunFilter(cel="output.total == 77"), page),
        "runs: CEL, nowhere": lambda: runs.page(RunFilter(cel="event.data.amount > 5000"), page),
        "count of runs": lambda: runs.count(RunFilter()),
        "count of failed runs": lambda: runs.count(RunFilter(statuses=("Failed",))),
        "count by status": lambda: runs.count_by_status(RunFilter()),
        "count: text": lambda: runs.count(RunFilter(text="declined")),
        "one run with steps, attempts, jobs": lambda: (
            runs.one(some),
            runs.steps(some),
            runs.attempts(some),
            runs.jobs(some),
            runs.children(some),
        ),
        "events": lambda: events.page(EventFilter(), page),
        "events without internal ones": lambda: events.page(EventFilter(internal=False), page),
        "events of a name": lambda: events.page(EventFilter(names=("shop/pay.asked",)), page),
        "events of a user": lambda: events.page(EventFilter(user="customer-70"), page),
        "events: CEL": lambda: events.page(EventFilter(cel="event.data.amount == 77"), page),
        "events: text, nowhere": lambda: events.page(EventFilter(text="no such text"), page),
        "count of events": lambda: events.count(EventFilter()),
        "names of events": lambda: events.names(),
        "waits": lambda: model.waits.page(WaitFilter(kinds=("wait",)), page),
        "functions, last hour": lambda: model.statistics.overview(end - 3_600_000, end),
        "a function, 48 buckets of the last hour": lambda: model.statistics.of_function(
            "shop/pay", end - 3_600_000, end, 48
        ),
    }


if __name__ == "__main__":
    main()
