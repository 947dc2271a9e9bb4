"""Sends events at times that were fixed beforehand, whatever the server does.

    python -m benchmarks.load PLAN.json > rows

A request waits for its time and for a free connection; how late it then went out is recorded with it. So a server
that stalls cannot make the generator hold back the very requests that would have measured the stall.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import httptools
import orjson
import uvloop

from .trace import Rows

NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send.

    `rate` is events per second; 0 makes all of them due at once, and then the connections are what bounds them.
    """

    host: str
    port: int
    event_key: str
    name: str
    first: int
    count: int
    batch: int = 1
    rate: float = 0.0
    connections: int = 64
    payload_bytes: int = 100
    timeout_seconds: float = 60.0

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> Plan:
        return cls(**orjson.loads(text))

    def numbers(self) -> Iterator[range]:
        """The events' numbers, one range a request."""
        end = self.first + self.count
        return (range(at, min(at + self.batch, end)) for at in range(self.first, end, self.batch))

    def delay(self, numbers: range) -> float:
        """Seconds after the beginning at which the request with these events is due."""
        return (numbers[0] - self.first) / self.rate if self.rate else 0.0

    def request(self, numbers: range) -> bytes:
        """The whole HTTP request."""
        pad = "x" * self.payload_bytes
        events = [{"name": self.name, "data": {"n": number, "pad": pad}} for number in numbers]
        body = orjson.dumps(events if self.batch > 1 else events[0])
        head = (
            f"POST /e/{self.event_key} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode("latin-1") + body


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self) -> None:
        self._answered: asyncio.Future[int] | None = None
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has its own classes
        self._parser = httptools.HttpResponseParser(self)
        self.open = True

    def send(self, request: bytes) -> asyncio.Future[int]:
        """Send; the future gives the status, or `NO_ANSWER` when the server hangs up."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_complete(self) -> None:
        self._settle(self._parser.get_status_code())
        if not self._parser.should_keep_alive():
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        self._settle(NO_ANSWER)

    def close(self) -> None:
        self.open = False
        self._transport.close()

    def _settle(self, status: int) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(status)


class Load:
    """Sends a plan's requests over a pool of connections."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rows = Rows(5)
        self._requests = [(plan.delay(numbers), numbers, plan.request(numbers)) for numbers in plan.numbers()]
        self._next = iter(self._requests)

    async def run(self) -> bytes:
        """Send everything; the rows of `trace.Sent`."""
        connections = min(self._plan.connections, len(self._requests))
        opened = [await self._connect() for _ in range(connections)]
        self._began = time.monotonic_ns()
        await asyncio.gather(*map(self._work, opened))
        return self._rows.take()

    async def _work(self, connection: Connection) -> None:
        for delay, numbers, request in self._next:
            scheduled = self._began + int(delay * 1e9)
            await _until(scheduled)
            if not connection.open:
                connection = await self._connect()
            sent = time.monotonic_ns()
            status = await self._status(connection, request)
            answered = time.monotonic_ns()
            for number in numbers:
                self._rows.add(number, scheduled, sent, answered, status)
        connection.close()

    async def _status(self, connection: Connection, request: bytes) -> int:
        try:
            return await asyncio.wait_for(connection.send(request), self._plan.timeout_seconds)
        except TimeoutError:
            connection.close()
            return NO_ANSWER

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._plan.host, self._plan.port)
        return connection


async def _until(moment: int) -> None:
    """Wait for a moment of the monotonic clock."""
    wait = (moment - time.monotonic_ns()) / 1e9
    if wait > 0:
        await asyncio.sleep(wait)


def main() -> None:
    plan = Plan.from_json(Path(sys.argv[1]).read_bytes())
    sys.stdout.buffer.write(uvloop.run(Load(plan).run()))


if __name__ == "__main__":
    main()
