"""A connection that has just been lost is an error that aiokafka knows, also on uvloop.

When the other side resets a connection, there is a moment in which its transport is closed and aiokafka has not heard
of it. What it writes then is dropped by asyncio's transports, and answered with `RuntimeError` by uvloop's. That would
end aiokafka's fetching for good, with nothing but a line in the log: the matcher would stay a member of its group and
read nothing any more.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def hear_of_lost_connections() -> None:
    """Make every aiokafka connection of this process do so; calling it again changes nothing."""
    AIOKafkaConnection.send = send


def send(connection: Any, request: Any, expect_response: bool = True) -> Awaitable[Any]:
    """As aiokafka sends, which tries again on a new connection after a `KafkaConnectionError`."""
    try:
        sent: Awaitable[Any] = _send(connection, request, expect_response)
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"the connection to {connection.host}:{connection.port} is lost: {error}") from error
    return sent
