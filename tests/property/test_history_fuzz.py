"""Whatever lies on the topics that history reads: it is written or passed over, and every page can be read after it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.__main__ import other_routes
from penstock.history.database import prepare, writer_engine
from penstock.history.rows import RowFolder, Rows
from penstock.history.users import UserNames
from penstock.history.write import HistoryWriter, Move
from penstock.messages import keys
from penstock.messages.ids import FunctionKey, JobId
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import (
    App,
    DeadLetter,
    Function,
    JobScheduled,
    Record,
    RunEnded,
    RunStarted,
    StepFinished,
)
from penstock.replay.api import ReplayDesk
from penstock.settings import HistorySettings, ReplaySettings
from tests.property.effort import examples
from tests.unit.executor.world import CODEC, FN, start
from tests.unit.ingest.doubles import KAFKA, MemoryTopics, client, served

from .test_commands_fuzz import likely

RUN = start("a").run_id
TIMES = st.sampled_from([0, -1, 1_700_000_000_000, 253_402_300_800_000, -(1 << 63), (1 << 63) - 1])
TEXTS = st.sampled_from(["", "not json", "{}", '{"a":1}', "{", "nul\0", '"\\ud800"', "1e999", "NaN"])
LISTS = ("runs", "events", "functions", "apps", "waits", "dead-letters")


@st.composite
def written(draw: st.DrawFn) -> list[tuple[str, bytes, Record]]:
    """One of everything that becomes a row, with times and texts that no release of ours writes."""
    at, text = draw(TIMES), draw(TEXTS)
    kind = draw(st.sampled_from(["call", "sleep", "wait", "request", "signal", "invoke", "cancel", "unknown"]))
    job = JobScheduled(RUN, JobId("j"), kind, "s", at, draw(TIMES), "n", 1, last_error=text, detail=draw(TEXTS))
    found: list[tuple[str, bytes, Record]] = [
        ("state", keys.run_key(RUN), RunStarted(RUN, FN, -1, (text,), ("i",), -1, at, at, cron=draw(TEXTS))),
        ("state", keys.job_key(RUN, JobId("j")), job),
        ("state", keys.step_key(RUN, "s"), StepFinished(RUN, "s", -1, "x", "n", text, at, draw(TIMES), detail=text)),
        ("functions", b"", Function(FunctionKey("a/f"), "a", "f", "f", -1, text, at)),
        ("functions", b"", App("a", "u", "c", at)),
        ("letters", b"", DeadLetter("t", -1, -1, at, b"\xff", b"\xff", "r", at)),
    ]
    if draw(st.booleans()):
        found.append(("state", keys.end_key(RUN), RunEnded(RUN, "Completed", text, at, at)))
    found.append(
        (draw(st.sampled_from(["state", "functions", "letters"])), keys.run_key(RUN), draw(likely((App, RunStarted))))
    )
    return found


def folded(records: list[tuple[str, bytes, Record]]) -> Rows:
    folder, rows = RowFolder(CODEC, IncomingEvents(CODEC), UserNames()), Rows()
    for topic, key, record in records:
        value = CODEC.encode(record)
        if topic == "state":
            folder.add_state(rows, key, value)
        elif topic == "functions":
            folder.add_function(rows, value)
        else:
            folder.add_dead_letter(rows, value)
        folder.add_event(rows, Arrival("events", 0, 1, -(1 << 63), value), False)
    return folder.settle(rows)


async def pages(routes: Any) -> None:
    async with client(served(MemoryTopics(), more_routes=routes)) as http:
        for path in (*LISTS, f"runs/{RUN}", f"runs/{RUN}/steps", f"runs/{RUN}/jobs"):
            answer = await http.get(f"/v1/{path}")
            assert answer.status_code == 200, (path, answer.text)
            orjson.loads(answer.content)
        query = (
            f'{{run(runID:"{RUN}"){{status output startedAt endedAt}} runTrigger(runID:"{RUN}"){{eventName payloads}}}}'
        )
        answer = await http.post("/v0/gql", json={"query": query})
        assert "errors" not in answer.json(), answer.text


@settings(max_examples=examples(25))
@given(written())
def test_what_others_wrote_can_be_read(records: list[tuple[str, bytes, Record]]) -> None:
    """Any time, any text for JSON, any record under any key: lists, details and GraphQL answer, in valid JSON."""
    with TemporaryDirectory() as folder:
        asked = HistorySettings(data_dir=Path(folder))
        engine = writer_engine(asked.database_url())
        prepare(engine, UserNames())
        HistoryWriter(engine, "c").write(folded(records), [Move(("e", 0), None, 1)])
        engine.dispose()
        asyncio.run(pages(other_routes(asked, ReplayDesk(ReplaySettings(), KAFKA))))


def test_a_job_whose_detail_is_no_json_is_passed_over() -> None:
    """It must not keep history from everything behind it."""
    job = JobScheduled(RUN, JobId("j"), "request", "s", 1, 1, detail="not json")
    assert folded([("state", keys.job_key(RUN, JobId("j")), job)]).jobs == {}
