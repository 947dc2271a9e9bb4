"""However the topics are cut into batches, the tables end up the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from penstock.history.database import prepare, writer_engine
from penstock.history.rows import RowFolder, Rows
from penstock.history.tables import attempts, event_users, events, jobs, run_events, run_users, runs, steps
from penstock.history.write import HistoryWriter, Move
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import DISCOVERY, FunctionKey, JobId, RunId, StepId, run_id
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import Event, JobScheduled, RunEnded, RunStarted, StepFinished
from tests.property.effort import examples

NOW = 1_700_000_000_000
CODEC = Codec()
FOLDER = RowFolder(CODEC, IncomingEvents(CODEC))
FUNCTION = FunctionKey("app/f")
TABLES = (events, runs, run_events, steps, jobs, attempts, event_users, run_users)
Taken = tuple[bytes | None, bytes | None]


@st.composite
def changelogs(draw: st.DrawFn) -> list[Taken]:
    """Events and interleaved runs: retried, stepping, sleeping, ended or not, each in its own order."""
    lines = [_line(draw, number) for number in range(draw(st.integers(1, 3)))]
    merged: list[Taken] = []
    while any(lines):
        line = draw(st.sampled_from([line for line in lines if line]))
        merged.append(line.pop(0))
    return merged


def _line(draw: st.DrawFn, number: int) -> list[Taken]:
    run = run_id(FUNCTION, str(number), NOW)
    user = draw(st.sampled_from(["{}", '{"id":7}']))
    line: list[Taken] = [(None, CODEC.encode(Event("app/f", user=user, internal_id=run)))]
    started = RunStarted(run, FUNCTION, 1, (f'{{"name":"app/f","user":{user}}}',), (run,), 5, NOW, NOW)
    line.append((keys.run_key(run), CODEC.encode(started)))
    for place in range(draw(st.integers(0, 3))):
        line += _step(run, place, retries=draw(st.integers(0, 2)))
    if draw(st.booleans()):
        line.append((keys.end_key(run), CODEC.encode(RunEnded(run, "Completed", "1", NOW, NOW))))
        if draw(st.booleans()):
            line.append((keys.end_key(run), None))
    elif draw(st.booleans()):  # the end was compacted away
        line += _step(run, 9, retries=draw(st.integers(0, 2)))[:-2]
        line.append((keys.end_key(run), None))
    else:
        line += _step(run, 9, retries=draw(st.integers(0, 2)))[:-2]
    return line


def _step(run: RunId, place: int, retries: int) -> list[Taken]:
    job, step = JobId(f"plan/{place}"), StepId(f"step-{place}")
    errors = [None, *(f'{{"message":"no {n}"}}' for n in range(retries))]
    tried = [
        JobScheduled(run, job, "call", DISCOVERY, NOW, NOW, attempt=n, last_error=error)
        for n, error in enumerate(errors)
    ]
    finished = StepFinished(run, step, place, "StepRun", "s", "{}", NOW, NOW)
    scheduled: list[Taken] = [(keys.job_key(run, job), CODEC.encode(attempt)) for attempt in tried]
    return [*scheduled, (keys.step_key(run, step), CODEC.encode(finished)), (keys.job_key(run, job), None)]


def tables_after(batches: list[list[Taken]]) -> dict[str, Any]:
    """Everything in a new database that took these batches."""
    with tempfile.TemporaryDirectory() as folder:
        engine = writer_engine(f"sqlite:///{Path(folder) / 'history.sqlite3'}")
        prepare(engine)
        writer = HistoryWriter(engine, "cluster")
        expected: int | None = None
        for batch in batches:
            rows = Rows()
            for offset, (key, value) in enumerate(batch):
                if key is None:
                    FOLDER.add_event(rows, Arrival("events", 0, offset, NOW, value), internal=False)
                else:
                    FOLDER.add_state(rows, key, value)
            following = (expected or 0) + len(batch)
            writer.write(FOLDER.settle(rows), [Move(("topic", 0), expected, following)])
            expected = following
        with engine.connect() as connection:
            found = {t.name: sorted(map(repr, connection.execute(select(t)).mappings())) for t in TABLES}
        engine.dispose()
    return found


@settings(max_examples=examples(40), deadline=None)
@given(changelogs(), st.data())
def test_batches_of_any_size_say_the_same(records: list[Taken], data: st.DataObject) -> None:
    """One record at a time, all at once, or anything between; a batch that comes twice changes nothing."""
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(records) - 1, 1)), max_size=5)))
    batches = [records[start:end] for start, end in zip([0, *cuts], [*cuts, len(records)], strict=True)]
    batches = [batch for batch in batches for _ in range(data.draw(st.integers(1, 2)))]
    whole = tables_after([records])
    for name, rows in tables_after(batches).items():
        if name == "events":  # their offsets differ, for each batch of this test counts from 0
            assert len(rows) == len(whole[name])
        else:
            assert rows == whole[name]
