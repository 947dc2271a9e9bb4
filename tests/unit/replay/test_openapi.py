"""What `/openapi.json` says of replays, held against what is read and answered."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from penstock.errors import InvalidInput
from penstock.messages.records import ReplayControl, ReplayProgress
from penstock.openapi import Description
from penstock.replay.openapi import PART
from penstock.replay.requests import ReplayRequest, ResumeRequest, parse_request, parse_resume
from penstock.replay.shapes import replay_shape
from penstock.replay.table import ReplayState
from tests.unit.json_schema import problems

from .doubles import NOW, replay

DOCUMENT: Any = Description([PART]).document()
SHAPES = DOCUMENT["components"]["schemas"]
REQUEST = SHAPES["ReplayRequest"]
RESUME = DOCUMENT["paths"]["/v1/replays/{replay}/resume"]["post"]["requestBody"]["content"]["application/json"][
    "schema"
]
ASKED = replay(ends={"events/0": 100}, from_at=NOW)
RUNNING = ReplayProgress(
    ASKED.id, "Running", {"events/0": 50}, NOW, matched=4, by_day={"2026-08-31": 4}, records_per_second=2.5
)


@pytest.mark.parametrize(
    "state",
    [
        ReplayState(ASKED),
        ReplayState(ASKED, None, RUNNING),
        ReplayState(ASKED, ReplayControl(ASKED.id, "pause", NOW, 5.0), RUNNING),
        ReplayState(ASKED, None, ReplayProgress(ASKED.id, "Failed", {}, NOW, error="why")),
    ],
)
def test_a_replay_is_as_described(state: ReplayState) -> None:
    """Every field of it, and no other."""
    shape = orjson.loads(orjson.dumps(replay_shape(state)))
    assert problems(shape, SHAPES["Replay"], SHAPES) == []
    assert shape.keys() == SHAPES["Replay"]["properties"].keys()


def test_what_is_asked_is_described_field_by_field() -> None:
    """Fields that are read are described, and the other way round."""
    read = {field.alias or name for name, field in ReplayRequest.model_fields.items()}
    assert REQUEST["properties"].keys() == read
    assert set(REQUEST["required"]) == {n for n, field in ReplayRequest.model_fields.items() if field.is_required()}
    assert RESUME["properties"].keys() == ResumeRequest.model_fields.keys()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"from": "2026-08-31T12:00:00Z", "to": NOW, "event": "shop/a", "if": "event.data.n > 1"},
        {"rate": None, "limit": 0, "dry_run": True, "force": True, "ignore_triggers": True},
    ],
)
def test_what_fits_the_description_is_read(changes: dict[str, object]) -> None:
    """Times as text and as numbers, and nothing at all."""
    sent = {"function": "shop/f"} | changes
    assert problems(sent, REQUEST, SHAPES) == []
    assert parse_request(orjson.dumps(sent)).function == "shop/f"


@pytest.mark.parametrize(
    "changes",
    [{"function": 7}, {"rate": 0}, {"rate": 20_001}, {"limit": -1}, {"from": 1.5}, {"speed": 1}, {"if": None}],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object]) -> None:
    """The description allows no more than is read."""
    sent = {"function": "shop/f"} | changes
    assert problems(sent, REQUEST, SHAPES) != []
    with pytest.raises(InvalidInput):
        parse_request(orjson.dumps(sent))


@pytest.mark.parametrize(("sent", "fits"), [({}, True), ({"rate": 5}, True), ({"rate": -1}, False), ({"x": 1}, False)])
def test_another_rate_is_read_as_described(sent: dict[str, object], fits: bool) -> None:
    """Of a replay that goes on."""
    assert (problems(sent, RESUME, SHAPES) == []) is fits
    if fits:
        assert parse_resume(orjson.dumps(sent)).rate == sent.get("rate")
    else:
        with pytest.raises(InvalidInput):
            parse_resume(orjson.dumps(sent))
