"""Questions to a cluster whose broker may just be coming up: asked again until it answers, within a bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

ANSWER_SECONDS = 10.0
_PAUSE_SECONDS = (0.05, 0.1, 0.2, 0.5)
#: Asking again changes nothing about these.
_FINAL = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError._AUTHENTICATION,
}

T = TypeVar("T")


def until_answered(
    ask: Callable[[], T],
    seconds: float = ANSWER_SECONDS,
    unanswered: tuple[type[Exception], ...] = (KafkaException, FutureTimeout),
) -> T:
    """What `ask` returns, at the latest attempt that began within so many seconds; then it raises what that raised.

    Blocks. Exceptions of these kinds are no answers, unless the error will not pass.
    """
    give_up = time.monotonic() + seconds
    attempt = 0
    while True:
        try:
            return ask()
        except unanswered as error:
            if time.monotonic() > give_up or _is_final(error):
                raise
        time.sleep(_PAUSE_SECONDS[min(attempt, len(_PAUSE_SECONDS) - 1)])
        attempt += 1


def bounds_of(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First offset of the partition and its end, as the leader says; what the end is depends on what is read."""

    def ask() -> tuple[int, int]:
        low, end = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
        return int(low), int(end)

    return until_answered(ask)


def _is_final(error: Exception) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, KafkaError) and cause.code() in _FINAL
