"""What aiokafka makes of an answer that is an error as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupAuthorizationFailedError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from penstock.matcher.offset_errors import heed_offset_errors

PLACE = TopicPartition("events", 0)
LOADING, NOT_COORDINATOR, NOT_ALLOWED = 14, 16, 30


class Coordinator(GroupCoordinator):  # type: ignore[misc]
    """aiokafka's, whose broker answers what the test says: errors, then the offset."""

    def __init__(self, codes: Sequence[int]) -> None:
        self.group_id, self.coordinator_id, self._retry_backoff_ms = "g", 1, 1
        self._client = SimpleNamespace(send=self._answer)
        self._codes = list(codes)
        self.dead = 0

    async def _answer(self, *_: Any, **__: Any) -> Any:
        if self._codes:
            return SimpleNamespace(error_code=self._codes.pop(0), topics=[])
        return SimpleNamespace(error_code=0, topics=[("events", [(0, 7, "a note", 0)])])

    async def ensure_coordinator_known(self) -> None:
        pass

    def coordinator_dead(self) -> None:
        self.dead += 1


@pytest.fixture(autouse=True)
def heeding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupCoordinator, "_send_req", GroupCoordinator._send_req)
    heed_offset_errors()
    heed_offset_errors()


async def test_offsets_that_cannot_be_told_yet_are_asked_for_again() -> None:
    """A coordinator that is another broker by now is looked up anew."""
    coordinator = Coordinator([LOADING, LOADING, NOT_COORDINATOR])
    assert await coordinator.fetch_committed_offsets([PLACE]) == {PLACE: OffsetAndMetadata(7, "a note")}
    assert coordinator.dead == 1


async def test_an_error_that_stays_is_raised() -> None:
    """Not taken for a group that has stored nothing."""
    with pytest.raises(GroupAuthorizationFailedError):
        await Coordinator([NOT_ALLOWED]).fetch_committed_offsets([PLACE])
