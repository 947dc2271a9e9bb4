"""Whatever reaches an owner's HTTP API: an answer in its one shape, and an owner that goes on."""

from __future__ import annotations

import asyncio
import json
from typing import cast
from urllib.parse import quote, urlencode

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.executor import api
from penstock.executor.api import Dispatches, OwnerApi, owner_app
from penstock.executor.ownership import Ownership
from penstock.executor.partition import PartitionOwner
from penstock.keys import SigningKeys
from penstock.messages.ids import JobId, RunId
from penstock.runs.run import Run
from tests.property.effort import examples
from tests.unit.executor.world import FN, App, World, start, steps

from .test_replies import opcodes, values

KEY = "signkey-test-abcd"
RUN = start("a").run_id
JOB = JobId("signal/s")


class OneOwner:
    """A process that owns partition 0."""

    def __init__(self, owner: PartitionOwner) -> None:
        self._owner = owner

    def owner(self, partition: int) -> PartitionOwner | None:
        return self._owner if partition == 0 else None


class OneDispatch:
    """Every job is being called right now, by the request `r`."""

    def dispatch_of(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> str | None:
        return "r"


def waiting(run: Run, job: JobId) -> object:
    return steps('{"op":"WaitForSignal","id":"s","opts":{"signal":"go","timeout":"1h"}}')


async def asked(method: str, path: str, content: bytes, headers: object) -> list[httpx.Response]:
    """The answer of an owner whose run waits for the signal `go`, and what it then says of the run."""
    world = World(App(waiting))  # type: ignore[arg-type]
    world.commands = [start("a")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: (run := owner.load(RUN)) is not None and JOB in run.jobs)
    served = owner_app(
        OwnerApi(cast(Ownership, OneOwner(owner)), cast(Dispatches, OneDispatch()), 1),
        SigningKeys((KEY,)),
    )
    transport = httpx.ASGITransport(served, raise_app_exceptions=False)
    running = asyncio.create_task(owner.run())
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://owner") as http:
            shown = {"authorization": f"Bearer {KEY}"}
            first = await http.request(method, path, content=content, headers=shown | (headers or {}))  # type: ignore[operator]
            return [first, await http.get(f"/runs/{RUN}/batch", headers=shown)]
    finally:
        running.cancel()
        (ended,) = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError)


def answers(method: str, path: str, content: bytes = b"", headers: object = None) -> list[httpx.Response]:
    return asyncio.run(asked(method, path, content, headers))


objects = st.dictionaries(
    st.sampled_from(["qi_id", "steps", "request_id", "signal", "data", "other"]),
    st.sampled_from([JOB, "go", "r", "x" * 300, "nul\0"]) | opcodes | values,
    max_size=5,
)
DEEP = b"[" * 5000 + b"]" * 5000
bodies = st.binary(max_size=60) | (values | objects).map(lambda value: json.dumps(value).encode())
PATHS = ("/signals", f"/runs/{RUN}/checkpoint", f"/runs/{RUN}/cancel")


@settings(deadline=None, max_examples=examples(50))
@given(st.sampled_from(PATHS), bodies)
@example("/signals", b'{"signal":"go","data":' + DEEP + b"}")
@example("/signals", b'{"signal":"go","data":"\xff"}')
@example("/signals", b'{"signal":"go","other":' + DEEP + b"}")
@example(PATHS[1], b'{"qi_id":"signal/s","steps":' + DEEP + b"}")
@example(PATHS[1], b'{"qi_id":"signal/s","steps":[{"op":"StepRun","id":"a","data":' + DEEP + b"}]}")
def test_no_body_breaks_an_owner(path: str, content: bytes) -> None:
    """2xx, or 4xx with a reason; the run's events can be read, or the run has ended."""
    answer, after = answers("POST", path, content)
    assert answer.status_code in (200, 400, 404, 409), answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]
    assert after.status_code == (410 if path.endswith("cancel") else 200)


texts = st.text(max_size=30) | st.sampled_from(["", "0", "9" * 30, "-1", "²", "\0", FN, "z" * 26, RUN.lower(), ".."])


@settings(deadline=None, max_examples=examples(30))
@given(texts, st.dictionaries(st.sampled_from(["partition", "function", "event_id", "job_id"]), texts))
@example(RUN, {"partition": "0", "function": FN, "event_id": "a/\0" * 5000})
def test_no_address_breaks_an_owner(name: str, query: dict[str, str]) -> None:
    """An answer, or which id or field is wrong."""
    quoted = quote(name, safe="")
    paths = [f"/runs/{quoted}/{what}" for what in ("actions", "batch")] + ["/deduplicated"]
    for path in paths:
        answer, after = answers("GET", f"{path}?{urlencode(query)}")
        assert answer.status_code in (200, 400, 404, 410, 421), answer.text
        assert answer.status_code == 200 or answer.status_code == 404 or answer.json()["error"]
        assert after.status_code == 200


@settings(deadline=None, max_examples=examples(40))
@given(st.binary(max_size=60).map(lambda value: value.translate(None, b"\r\n\0")))
@example(b"Bearer ")
@example(b"Bearer \xff")
def test_no_header_lets_in(value: bytes) -> None:
    """Only the signing key does."""
    answer, _ = answers("GET", f"/runs/{RUN}/batch", headers={"authorization": value})
    assert answer.status_code == 401
    assert "signing key" in answer.json()["error"]


def test_a_body_without_end_is_refused() -> None:
    """As soon as it is too large, whatever it would have said."""
    answer, after = answers("POST", "/signals", b" " * (api.MAX_BODY_BYTES + 1))
    assert (answer.status_code, after.status_code) == (413, 200)
    assert "larger than" in answer.json()["error"]
