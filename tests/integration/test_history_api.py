"""What the read API answers: shapes, pages, and errors that say what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from penstock.history import api
from penstock.history.database import prepare, writer_engine
from penstock.history.rows import RowFolder, Rows
from penstock.history.write import HistoryWriter, Move
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import DISCOVERY, FunctionKey, JobId, RunId, StepId, function_uuid, ulid
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import Event, JobScheduled, Record, RunEnded, RunStarted, StepFinished
from penstock.settings import HistorySettings

NOW = 1_700_000_000_000
CODEC = Codec()
FUNCTION = FunctionKey("shop/paid")
NO_ID = "00000000-0000-0000-0000-000000000000"


def event_id(number: int) -> str:
    return ulid(NOW + number, bytes(10))


def run_id(number: int) -> RunId:
    return RunId(ulid(NOW + number, b"\1" * 10))


def event(number: int, **other: Any) -> Event:
    fields: dict[str, Any] = {
        "name": "shop/paid",
        "data": f'{{"n": {number}}}',
        "id": f"order-{number}",
        "ts": NOW + number,
        "internal_id": event_id(number),
        "received_at": NOW + number,
        "source": "http",
    }
    return Event(**(fields | other))


def state_of_run(number: int, ended: bool = True) -> list[tuple[bytes, Record | None]]:
    run, job = run_id(number), JobId("discover/start")
    step = StepFinished(run, StepId("ab"), 0, "StepRun", "charge", '{"data":7}', NOW, NOW + 40, attempt=1)
    retry = JobScheduled(run, job, "call", DISCOVERY, NOW + 60, NOW, "shop", 2, last_error='{"name":"Oops"}')
    records: list[tuple[bytes, Record | None]] = [
        (
            keys.run_key(run),
            RunStarted(run, FUNCTION, 4, ("{}",), (event_id(number),), 5, NOW + number, NOW + number),
        ),
        (keys.step_key(run, step.step_id), step),
        (keys.job_key(run, job), retry),
    ]
    if ended:
        records += [(keys.end_key(run), RunEnded(run, "Completed", '{"ok": true}', NOW + 99, NOW))]
    return records


class History:
    """The read model's file, and a client of the API over it."""

    def __init__(self, settings: HistorySettings, client: httpx.AsyncClient) -> None:
        engine = writer_engine(settings.database_url())
        prepare(engine)
        self._writer = HistoryWriter(engine, "cluster")
        self._folder = RowFolder(CODEC, IncomingEvents(CODEC))
        self._written: int | None = None
        self._client = client
        self._engine = engine

    def add(self, *records: Event | tuple[bytes, Record | None]) -> None:
        rows, offset = Rows(), (self._written or 0) + len(records)
        for record in records:
            if isinstance(record, Event):
                self._folder.add_event(rows, Arrival("e", 0, offset, NOW, CODEC.encode(record)), internal=True)
            else:
                self._folder.add_state(rows, record[0], None if record[1] is None else CODEC.encode(record[1]))
        self._writer.write(self._folder.settle(rows), [Move(("x", 0), self._written, offset)])
        self._written = offset

    def forget_changes(self, before: int) -> None:
        """As if many batches had come since."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(f"DELETE FROM changes WHERE sequence < {before}")

    async def get(self, path: str, status: int = 200) -> Any:
        response = await self._client.get(path)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/json"
        return response.json()

    async def data(self, path: str) -> Any:
        return (await self.get(path))["data"]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=api.routes(HistorySettings(data_dir=tmp_path)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as made:
        yield made


@pytest.fixture
def history(tmp_path: Path, client: httpx.AsyncClient) -> History:
    return History(HistorySettings(data_dir=tmp_path), client)


async def test_an_event_in_the_shape_that_clients_read(history: History) -> None:
    """Payloads unwrapped, times as RFC 3339, in the envelope."""
    history.add(event(1, user='{"u":1}', v="2"))
    answer = await history.get(f"/v1/events/{event_id(1)}")
    assert set(answer) == {"data", "metadata"}
    assert set(answer["metadata"]) == {"fetched_at", "cached_until"}
    assert answer["data"] == {
        "internal_id": event_id(1),
        "account_id": NO_ID,
        "environment_id": NO_ID,
        "source": "http",
        "source_id": None,
        "received_at": "2023-11-14T22:13:20.001Z",
        "id": "order-1",
        "name": "shop/paid",
        "data": {"n": 1},
        "user": {"u": 1},
        "ts": NOW + 1,
        "v": "2",
    }


async def test_an_event_by_its_producers_id(history: History) -> None:
    """The newest with that id; without one, the internal id stands in."""
    history.add(event(1, id="same"), event(2, id="same"), event(3, id=""))
    assert (await history.data("/v1/events/same"))["internal_id"] == event_id(2)
    assert (await history.data(f"/v1/events/{event_id(3)}"))["id"] == event_id(3)


async def test_a_run_in_the_shape_that_clients_read(history: History) -> None:
    """Status capitalised, output as the value it is, the function by its UUID and its name."""
    history.add(event(1), *state_of_run(1))
    expected = {
        "run_id": run_id(1),
        "run_started_at": "2023-11-14T22:13:20.001Z",
        "function_id": str(function_uuid(FUNCTION)),
        "function": "shop/paid",
        "function_version": 4,
        "environment_id": NO_ID,
        "event_id": event_id(1),
        "status": "Completed",
        "ended_at": "2023-11-14T22:13:20.099Z",
        "output": {"ok": True},
        "event_name": "shop/paid",
        "cron": None,
        "parent_run": None,
        "parent_job": None,
        "rerun_of": None,
        "replay": None,
        "queued_at": "2023-11-14T22:13:20.001Z",
    }
    of_its_own = {"waiting_for": [], "children": [], "reruns": []}
    assert await history.data(f"/v1/runs/{run_id(1)}") == expected | of_its_own
    assert await history.data(f"/v1/events/{event_id(1)}/runs") == [expected]
    assert await history.data("/v1/events/order-1/runs") == [expected]


async def test_a_running_run_has_no_output_yet(history: History) -> None:
    """Status and output change together, in the row of the run."""
    history.add(*state_of_run(1, ended=False))
    run = await history.data(f"/v1/runs/{run_id(1)}")
    assert (run["status"], run["ended_at"], run["output"]) == ("Running", None, None)
    history.add(*state_of_run(1))
    run = await history.data(f"/v1/runs/{run_id(1)}")
    assert (run["status"], run["output"]) == ("Completed", {"ok": True})


async def test_steps_and_jobs_of_a_run(history: History) -> None:
    """What finished, with its timing and attempt; what is pending, with its last error; nothing once it has ended."""
    history.add(*state_of_run(1, ended=False))
    assert await history.data(f"/v1/runs/{run_id(1)}/steps") == [
        {
            "id": "ab",
            "name": "charge",
            "op": "StepRun",
            "position": 0,
            "status": "Completed",
            "attempt": 1,
            "started_at": "2023-11-14T22:13:20.000Z",
            "ended_at": "2023-11-14T22:13:20.040Z",
            "duration_ms": 40,
            "output": {"data": 7},
            "detail": None,
            "source": None,
        }
    ]
    assert await history.data(f"/v1/runs/{run_id(1)}/jobs") == [
        {
            "JobID": f"{run_id(1)}/discover/start",
            "at": "2023-11-14T22:13:20.060Z",
            "position": 0,
            "kind": "call",
            "attempt": 2,
            "step_id": "step",
            "name": "shop",
            "since": "2023-11-14T22:13:20.000Z",
            "last_error": {"name": "Oops"},
            "detail": None,
        }
    ]
    history.add(*state_of_run(1, ended=True))
    assert await history.data(f"/v1/runs/{run_id(1)}/jobs") == []


async def test_events_newest_first_in_pages(history: History) -> None:
    """The cursor is the last internal id; pages meet without gap or overlap."""
    history.add(*(event(number) for number in range(45)))
    seen: list[str] = []
    cursor = ""
    for size in (20, 20, 5, 0):
        page = await history.data(f"/v1/events?cursor={cursor}")
        assert len(page) == size
        seen += [item["internal_id"] for item in page]
        cursor = seen[-1]
    assert seen == [event_id(number) for number in reversed(range(45))]
    assert len(await history.data("/v1/events?limit=100")) == 45


async def test_events_by_name_and_time(history: History) -> None:
    """Filters, in RFC 3339 or milliseconds; the start counts, the end does not."""
    history.add(event(1), event(2, name="shop/other"), event(3), event(4))
    assert [e["id"] for e in await history.data("/v1/events?name=shop/other")] == ["order-2"]
    after, before = "2023-11-14T22:13:20.002Z", "2023-11-14T23:13:20.004%2B01:00"
    found = await history.data(f"/v1/events?name=shop/paid&received_after={after}&received_before={before}")
    assert [e["id"] for e in found] == ["order-3"]
    found = await history.data(f"/v1/events?received_after={NOW + 2}&received_before={NOW + 4}")
    assert [e["id"] for e in found] == ["order-3", "order-2"]


async def test_runs_by_status_and_function(history: History) -> None:
    """Newest first; a status in any case of letters."""
    history.add(*state_of_run(1), *state_of_run(2, ended=False), *state_of_run(3))
    assert [r["run_id"] for r in await history.data("/v1/runs")] == [run_id(3), run_id(2), run_id(1)]
    assert [r["run_id"] for r in await history.data("/v1/runs?status=running")] == [run_id(2)]
    assert len(await history.data("/v1/runs?function=shop/paid&limit=2")) == 2
    assert await history.data("/v1/runs?function=other") == []
    assert [r["run_id"] for r in await history.data(f"/v1/runs?cursor={run_id(2)}")] == [run_id(1)]


async def test_an_event_that_was_just_accepted_has_no_runs_yet(history: History) -> None:
    """Whoever polls with the id that the server gave gets an empty list, not an error."""
    assert await history.data(f"/v1/events/{event_id(9)}/runs") == []


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (f"/v1/events/{event_id(8)}", 404, "if it is new, ask again"),
        ("/v1/events/unknown/runs", 404, "no event has the id 'unknown'"),
        ("/v1/events/%00", 404, "no event has the id"),
        (f"/v1/runs/{run_id(8)}", 404, "no run has the id"),
        (f"/v1/runs/{run_id(8)}/steps", 404, "no run has the id"),
        (f"/v1/runs/{run_id(8)}/jobs", 404, "no run has the id"),
        ("/v1/runs/short", 400, "a run id is a ULID of 26 characters, not 'short'"),
        ("/v1/events?limit=0", 400, "limit must be a whole number from 1 to 100, not '0'"),
        ("/v1/events?limit=101", 400, "limit must be"),
        ("/v1/events?limit=many", 400, "limit must be"),
        ("/v1/events?limit=²", 400, "limit must be"),
        ("/v1/events?cursor=x", 400, "cursor must be the id"),
        ("/v1/events?received_after=soon", 400, "received_after must be a time such as"),
        ("/v1/events?received_before=0000-99-01T00:00:00Z", 400, "received_before must be a time"),
        ("/v1/runs?status=Happy", 400, "status must be one of Running, Completed"),
    ],
)
async def test_errors_say_what_to_do(history: History, path: str, status: int, message: str) -> None:
    """In the envelope of errors."""
    answer = await history.get(path, status)
    assert answer["status"] == status
    assert message in answer["error"]


async def test_before_history_has_started(client: httpx.AsyncClient) -> None:
    """503 with a hint, and when to come again."""
    response = await client.get("/v1/events")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert "is `penstock history` running" in response.json()["error"]
