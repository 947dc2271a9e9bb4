"""A coordinator that cannot say what a group has stored yet is asked again, instead of taken to know of nothing.

Since version 2 of the request, an error that concerns the group as a whole (its offsets are being loaded, or are
another broker's by now) comes once, beside an empty list of partitions. aiokafka looks for errors of partitions only:
for it, nothing would be stored, and the matcher would begin with the oldest event of every partition. For some
milliseconds after a broker has come back, that is what it answers.
"""

from __future__ import annotations

from typing import Any

from aiokafka import errors
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.commit import OffsetFetchRequest

_send_req = GroupCoordinator._send_req


def heed_offset_errors() -> None:
    """Make every aiokafka consumer of this process do so; calling it again changes nothing."""
    GroupCoordinator._send_req = send_req


async def send_req(coordinator: Any, request: Any) -> Any:
    """As aiokafka asks; its own loop asks again after an error that passes."""
    answer = await _send_req(coordinator, request)
    code = getattr(answer, "error_code", 0) if isinstance(request, OffsetFetchRequest) else 0
    if code:
        error = errors.for_code(code)
        if error in (errors.NotCoordinatorForGroupError, errors.GroupCoordinatorNotAvailableError):
            coordinator.coordinator_dead()
        raise error(f"offsets of the group {coordinator.group_id}")
    return answer
