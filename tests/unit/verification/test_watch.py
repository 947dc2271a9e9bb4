"""The changelog is followed whatever lies in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, RunId
from penstock.messages.records import RunEnded, RunStarted
from penstock.settings import KafkaSettings
from penstock.verification import watch
from penstock.verification.watch import ChangelogWatch
from tests.stack import wait_until

RUN = RunId("01M82RGTG5JSHVQ5TMVAKRSXBQ")


class Message:
    """A record as librdkafka gives it."""

    def __init__(self, key: bytes | None, value: bytes | None) -> None:
        self._key, self._value = key, value

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> None:
        return None

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 0


class Consumer:
    """Gives what it was made with; then nothing."""

    def __init__(self, messages: Iterator[Message]) -> None:
        self._messages = messages

    def assign(self, places: object) -> None:
        pass

    def poll(self, seconds: float) -> Message | None:
        return next(self._messages, None)

    def consume(self, most: int, seconds: float) -> list[Message]:
        return []

    def close(self) -> None:
        pass


def followed(patch: pytest.MonkeyPatch, messages: Callable[[], Iterator[Message]]) -> ChangelogWatch:
    patch.setattr(watch, "Consumer", lambda settings: Consumer(messages()))
    patch.setattr(watch, "_ends", lambda settings: [])
    return ChangelogWatch(KafkaSettings(), Codec())


def test_what_no_release_wrote_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and values of any bytes, before and between good records."""
    codec, found = Codec(), list[ChangelogWatch]()
    event = json.dumps({"data": {"k": 1}})
    begun = RunStarted(RUN, FunctionKey("app/app-f0"), 1, (event,), (), 3, 0, 0)

    def messages() -> Iterator[Message]:
        while not found:
            yield Message(b"job", b"")
        yield from (Message(key, b"\xff") for key in (None, b"", b"job", b"step/\xff/x", b"run/x", b"offset"))
        yield Message(keys.run_key(RUN), codec.encode(begun))
        yield from (Message(f"step/{RUN}/x".encode(), b"\x00\x01"), Message(f"end/{RUN}".encode(), b""))
        yield Message(f"job/{RUN}/".encode() + b"\xff", b"x")
        yield Message(keys.end_key(RUN), codec.encode(RunEnded(RUN, "Completed", '"done"', 0, 0)))

    seen = followed(monkeypatch, messages)
    seen.add("app")
    found.append(seen)
    wait_until(lambda: any(run.end for run in seen.runs("app")), 10, "the run has ended")
    assert [run.k for run in seen.runs("app") if run.end] == [1]
    seen.close()


def test_what_ends_the_reading_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than a round that seems to be stuck."""

    def messages() -> Iterator[Message]:
        raise RuntimeError("librdkafka is gone")
        yield

    seen = followed(monkeypatch, messages)
    seen._thread.join(10)
    with pytest.raises(RuntimeError, match="gone"):
        seen.runs("app")
    seen.close()
