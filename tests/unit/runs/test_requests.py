"""The body, URL and headers of a call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from penstock.messages.ids import FunctionKey, JobId, RunId, StepId, function_uuid, run_id
from penstock.messages.records import JobScheduled, RunStarted, StepFinished
from penstock.runs.requests import (
    MAX_STATE_BYTES,
    MIB,
    CallInput,
    call_headers,
    call_input,
    call_url,
    encode_call,
    fetches_state,
)
from penstock.runs.run import Run, fold

EVENT = '{"id":"01E","name":"shop/paid","data":{"big":123456789012345678901,"f":1.10},"user":{},"ts":1}'
STEP = StepId("a94a8fe5ccb19ba61c4c0873d391e987982fbbd3")
CALL = CallInput(
    function_uuid=function_uuid(FunctionKey("shop/f")),
    run_id=run_id(FunctionKey("shop/f"), "e", 1_790_000_000_000),
    step_id=StepId("step"),
    job_id=JobId(f"discover/{STEP}"),
    attempt=2,
    max_attempts=5,
    request_version=2,
    disable_immediate_execution=True,
    stack=(STEP,),
    current=1,
    steps={STEP: '{"data":1.0}'},
    events=(EVENT,),
    request_id="01K0000000000000000000000A",
)


def decoded(call: CallInput, *, allow_use_api: bool = True) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(encode_call(call, allow_use_api=allow_use_api))
    return body


def test_body_has_every_field_that_sdks_read() -> None:
    """`use_api` in both places, the stack with its index, ids, attempt and versions."""
    event = orjson.loads(EVENT)
    assert decoded(CALL) == {
        "event": event,
        "events": [event],
        "steps": {STEP: {"data": 1.0}},
        "defers": {},
        "version": 2,
        "use_api": False,
        "ctx": {
            "fn_id": str(CALL.function_uuid),
            "run_id": CALL.run_id,
            "env": "",
            "step_id": "step",
            "attempt": 2,
            "max_attempts": 5,
            "qi_id": CALL.job_id,
            "job_id": CALL.job_id,
            "request_id": CALL.request_id,
            "generation_id": 1,
            "disable_immediate_execution": True,
            "use_api": False,
            "stack": {"stack": [STEP], "current": 1},
        },
    }


def test_stored_text_is_passed_on_to_the_byte() -> None:
    """Large integers and the digits of floats reach user code as they were stored."""
    body = encode_call(CALL, allow_use_api=True)
    assert body.count(EVENT.encode()) == 2
    assert f'"{STEP}":{{"data":1.0}}'.encode() in body


def test_first_call_says_version_minus_one() -> None:
    """0 makes the TypeScript SDK throw: it is never sent."""
    assert decoded(replace(CALL, request_version=-1))["version"] == -1
    assert decoded(replace(CALL, request_version=0))["version"] == -1
    assert call_headers(replace(CALL, request_version=0))["x-inngest-req-version"] == "-1"


def test_empty_stack_is_an_array() -> None:
    """The first call: nothing has run."""
    body = decoded(replace(CALL, stack=(), current=0, steps={}))
    assert body["ctx"]["stack"] == {"stack": [], "current": 0}
    assert body["steps"] == {}


def test_large_state_is_left_for_the_sdk_to_fetch() -> None:
    """Over 4 MiB - 1 KiB of results: neither events nor steps, `use_api` in both places, the event kept."""
    large = replace(CALL, steps={STEP: f'"{"x" * (MAX_STATE_BYTES - 1)}"'})
    body = decoded(large)
    assert (body["events"], body["steps"]) == ([], {})
    assert body["use_api"] is body["ctx"]["use_api"] is True
    assert body["event"] == orjson.loads(EVENT)
    assert body["ctx"]["stack"]["stack"] == [STEP]


def test_state_of_exactly_the_limit_is_sent() -> None:
    """As long as the body with its event is within 4 MiB."""
    body = decoded(replace(CALL, steps={STEP: f'"{"x" * (MAX_STATE_BYTES - 1100)}"'}))
    assert body["use_api"] is False
    assert len(body["steps"][STEP]) == MAX_STATE_BYTES - 1100


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_large_batch_is_left_for_the_sdk_to_fetch(letter: str) -> None:
    """The encoded body counts as well, in bytes: here it is the events that are too large."""
    event = orjson.dumps({"data": letter * (MIB + 20_000)}).decode()
    body = decoded(replace(CALL, events=(event,) * 3))
    assert body["events"] == []
    assert body["use_api"] is True
    assert body["event"] == orjson.loads(event)


def test_go_gets_the_whole_state() -> None:
    """Go's SDK cannot fetch: however large the state is, it is in the body."""
    assert not fetches_state("go:v0.16.0")
    assert fetches_state("inngest-py:v0.5.19")
    large = replace(CALL, steps={STEP: f'"{"x" * (6 * MIB)}"'})
    body = decoded(large, allow_use_api=False)
    assert body["use_api"] is False
    assert len(body["steps"][STEP]) == 6 * MIB


def test_every_call_names_its_function() -> None:
    """By UUID; the TypeScript SDK checkpoints only when it is told."""
    assert decoded(CALL)["ctx"]["fn_id"] == str(CALL.function_uuid)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:1/api", "http://h:1/api?stepId=step"),
        ("http://h:1/api?", "http://h:1/api?stepId=step"),
        ("http://h/api?fnId=a%20b&step=step", "http://h/api?fnId=a%20b&step=step&stepId=step"),
        ("http://h/api?stepId=old&fnId=f&stepId", "http://h/api?fnId=f&stepId=step"),
        ("http://h/api?fnId=f#top", "http://h/api?fnId=f&stepId=step"),
        ("https://h/api?xstepId=1&stepIdx=2", "https://h/api?xstepId=1&stepIdx=2&stepId=step"),
    ],
)
def test_step_id_is_set_and_other_parameters_stay(url: str, expected: str) -> None:
    """Registered URLs may have any query, also a `stepId` of their own."""
    assert call_url(url, StepId("step")) == expected


def test_any_step_id_fits_into_url_and_headers() -> None:
    """Ids are hashes, but nothing breaks if one is not."""
    odd = StepId("ä b&c=d\r\nx: y")
    assert parse_qs(urlsplit(call_url("http://h/api?fnId=f", odd)).query)["stepId"] == [odd]
    headers = call_headers(replace(CALL, step_id=odd, job_id=JobId(f"plan/{odd}")))
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_headers_name_run_request_job_and_step() -> None:
    """All that §4 lists, without the signature."""
    headers = call_headers(CALL)
    trace = headers.pop("traceparent")
    assert headers == {
        "content-type": "application/json",
        "x-run-id": CALL.run_id,
        "x-request-id": CALL.request_id,
        "x-inngest-job-id": CALL.job_id,
        "x-inngest-generation-id": "1",
        "x-inngest-req-version": "2",
        "x-inngest-step-id": "step",
    }
    assert trace.startswith("00-")


def test_calls_of_a_run_share_a_trace() -> None:
    """One trace id per run, one span per request, in the form of W3C trace context."""
    first, second = (
        call_headers(replace(CALL, request_id=request))["traceparent"].split("-") for request in ("01A", "01B")
    )
    other = call_headers(replace(CALL, run_id=RunId("0" * 25 + "1")))["traceparent"].split("-")
    assert first[1] == second[1] != other[1]
    assert first[2] != second[2]
    assert [len(part) for part in first] == [2, 32, 16, 2]


def test_a_call_carries_the_run_s_memory() -> None:
    """Stack, results, attempt and versions are those of the run and its job when the call is made."""
    started = RunStarted(CALL.run_id, FunctionKey("shop/f"), 1, (EVENT,), ("e",), 5, 1, 1)
    run = fold(Run(started), StepFinished(CALL.run_id, STEP, 0, "StepRun", "a", '{"data":1.0}', 1, 1))
    run = replace(run, request_version=2, disable_immediate_execution=True)
    job = JobScheduled(CALL.run_id, CALL.job_id, "call", StepId("step"), 1, 1, attempt=2)
    assert call_input(run, job, FunctionKey("shop/f"), CALL.request_id) == CALL
