"""What the world outside does to an installation: it sends events and signals, registers apps, cancels and looks.

Whatever is asked of an installation that is being killed is asked again until it is done; that is what its senders do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar, cast

import httpx
import orjson

from ..errors import Unavailable
from ..kafka import clients
from ..kafka.produce import AsyncProducer
from ..settings import ClientSettings, KafkaSettings

AGAIN_SECONDS = 0.3
REQUEST_SECONDS = 15.0
MOST_AT_ONCE = 50
#: How long a run that has begun may be unknown.
UNKNOWN_SECONDS = 60.0
T = TypeVar("T")


class Rejected(AssertionError):
    """The installation refused what it must take."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where it is, and how to be let in."""

    http: ClientSettings
    kafka: KafkaSettings


class Errands:
    """Runs them on one event loop; an async context manager."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._topics = installation.kafka.topics()
        self._producer: AsyncProducer | None = None
        self._few = asyncio.Semaphore(MOST_AT_ONCE)
        key = installation.http.signing_key
        self._client = httpx.AsyncClient(
            base_url=installation.http.url.rstrip("/"),
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=REQUEST_SECONDS,
            trust_env=False,
        )

    async def __aenter__(self) -> Errands:
        self._producer = AsyncProducer(clients.producer(self._installation.kafka, "penstock-verify"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self._client.aclose()
        if self._producer is not None:
            await self._producer.close()

    async def register(self, body: Mapping[str, object]) -> None:
        """Sync an app."""
        await self._until_taken("POST", "/fn/register", body)

    async def event(self, name: str, data: Mapping[str, object], event_id: str = "", *, by_kafka: bool = False) -> None:
        """Return when it is on Kafka, sent over HTTP or by any Kafka client."""
        event = {"name": name, "data": data, **({"id": event_id} if event_id else {})}
        if by_kafka:
            await self._produced(orjson.dumps(event))
        else:
            await self._until_taken("POST", f"/e/{self._installation.http.event_key or 'verify'}", event)

    async def poison(self, value: bytes) -> None:
        """Bytes that are no event."""
        await self._produced(value)

    async def signal(self, signal: str, needless: Callable[[], bool]) -> None:
        """Send it until a run has it, or nobody needs it any more."""
        body = {"signal": signal, "data": {"go": True}}
        while not needless():
            answer = await self._ask("POST", "/v1/signals", body)
            if answer is not None and answer.status_code == 200:
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def cancel(self, run_id: str) -> bool:
        """Cancel a run that has begun: whether the answer is that it is cancelled now; one that is over stays so.

        An owner that has stood still may not know the run, for a while: it has been replaced and does not know it yet.
        """
        last = time.monotonic() + UNKNOWN_SECONDS
        while True:
            answer = await self._ask("DELETE", f"/v1/runs/{run_id}")
            if answer is not None and answer.is_success:
                return _says_cancelled(answer)
            if answer is not None and answer.status_code == 409:
                return False
            if answer is not None and answer.status_code == 404 and time.monotonic() > last:
                raise Rejected(f"run {run_id} has begun, and cannot be cancelled: {answer.text[:300]}")
            await asyncio.sleep(AGAIN_SECONDS)

    async def status(self, run_id: str) -> str:
        """How a run stands in history; empty when it is not there, or history does not answer."""
        answer = await self._ask("GET", f"/v1/runs/{run_id}")
        if answer is None or not answer.is_success:
            return ""
        return str(cast(dict[str, dict[str, object]], answer.json())["data"]["status"])

    async def _until_taken(self, method: str, path: str, body: object) -> None:
        while True:
            answer = await self._ask(method, path, body)
            if answer is not None and answer.is_success:
                return
            if answer is not None and 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
                raise Rejected(f"{method} {path} was answered with {answer.status_code}: {answer.text[:300]}")
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ask(self, method: str, path: str, body: object = None) -> httpx.Response | None:
        """The answer; None when there was none."""
        content = None if body is None else orjson.dumps(body)
        try:
            async with self._few:
                return await self._client.request(
                    method, path, content=content, headers={"content-type": "application/json"}
                )
        except httpx.TransportError:
            return None

    async def _produced(self, value: bytes) -> None:
        producer = self._producer
        assert producer is not None, "errands are run inside their context"
        await _until_done(lambda: producer.send(self._topics.events, None, value))


def _says_cancelled(answer: httpx.Response) -> bool:
    """A run may have ended while it was being cancelled; then the answer says how."""
    told = orjson.loads(answer.content) if answer.content else None
    return not isinstance(told, dict) or told.get("status", "Cancelled") == "Cancelled"


async def _until_done(attempt: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await attempt()
        except Unavailable:
            await asyncio.sleep(AGAIN_SECONDS)
