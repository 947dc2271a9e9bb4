"""A producer that librdkafka has given up: it is noticed, and what works with it ends."""

from __future__ import annotations

import asyncio
import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

from penstock.errors import Unavailable
from penstock.kafka import produce
from penstock.kafka.produce import AsyncProducer, while_usable

LOST = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "sequence numbers are out of order", True)


class Lost:
    """As librdkafka behaves after a fatal error: raised by the next poll, once; then nothing is taken."""

    def __init__(self, config: dict[str, bool]) -> None:
        self.lost = threading.Event()
        self._errors: list[Exception] = [KafkaException(LOST)]
        if config.get("in_callback"):
            self._errors = [SystemError("a callback returned a result with an exception set")]
            self._errors[0].__cause__ = KafkaException(LOST)

    def poll(self, seconds: float) -> None:
        self.lost.wait(seconds)
        if self.lost.is_set() and self._errors:
            raise self._errors.pop()

    def produce(self, *_given: object, **_more: object) -> None:
        if self.lost.is_set():
            raise KafkaException(KafkaError(KafkaError._FATAL))

    def flush(self, _seconds: float) -> None:
        if self._errors:
            raise self._errors.pop()


def made(monkeypatch: pytest.MonkeyPatch, in_callback: bool = False) -> tuple[AsyncProducer, Lost]:
    real = Lost({"in_callback": in_callback})
    monkeypatch.setattr(produce, "Producer", lambda _config: real)
    return AsyncProducer({}), real


class Endless:
    """Work that goes on until it is cancelled."""

    def __init__(self) -> None:
        self.began, self.ended = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


@pytest.mark.parametrize("in_callback", [False, True])
async def test_work_with_a_broken_producer_ends(monkeypatch: pytest.MonkeyPatch, in_callback: bool) -> None:
    """With the broker's reason, also when nobody sends anything; the thread that takes deliveries goes on."""
    producer, real = made(monkeypatch, in_callback)
    work = Endless()
    doing = asyncio.create_task(while_usable(producer, work()))
    await work.began.wait()
    real.lost.set()
    with pytest.raises(Unavailable, match=r"can send nothing any more.*out of order"):
        await asyncio.wait_for(doing, 10)
    assert work.ended.is_set()
    with pytest.raises(Unavailable, match="full or broken"):
        await producer.send("t", None, None)
    await producer.close()


async def test_work_that_ends_by_itself_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end and its error are its own."""
    producer, _real = made(monkeypatch)

    async def fails() -> None:
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        await while_usable(producer, fails())
    await producer.close()


async def test_cancelled_work_is_over_when_that_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The producer may be closed then."""
    producer, _real = made(monkeypatch)
    work = Endless()
    doing = asyncio.create_task(while_usable(producer, work()))
    await work.began.wait()
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert work.ended.is_set()
    await producer.close()
