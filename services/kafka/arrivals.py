"""What librdkafka gives, in the words of `messages.incoming`."""

from __future__ import annotations

from confluent_kafka import Message

from ..messages.incoming import Arrival


def arrival_of(message: Message) -> Arrival:
    """The record as it lies on its topic."""
    headers = message.headers()
    found = headers if isinstance(headers, list) else []
    return Arrival(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.value(),
        [(key, value) for key, value in found if isinstance(value, bytes)],
    )
