"""`penstock pull`: real events from another cluster into the local dev server, redacted on the way.

They go in by the front door, `POST /e/`, with the id that they have, or else the one that the source gave them: so an
event that is pulled twice within a day starts nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import orjson

from ..errors import UndecodableRecord
from ..kafka.arrivals import arrival_of
from ..kafka.ranges import Place, RangeReader, fixed_ranges
from ..kafka.schema_registry import connect
from ..messages.codec import Codec
from ..messages.incoming import IncomingEvents
from ..messages.records import Event
from ..settings import KafkaSettings
from .exit_codes import Refused
from .progress import Progress
from .redaction import Json, Redact
from .server import Server

BATCH = 100


@dataclass(slots=True)
class Pulled:
    """What has become of the records."""

    read: int = 0
    sent: int = 0
    left_out: int = 0
    undecodable: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """Which events: times in milliseconds, 0 for any; names with wildcards, none for all."""

    names: tuple[str, ...]
    since: int
    until: int
    limit: int

    def covers(self, event: Event, written_at: int) -> bool:
        if written_at < self.since or (self.until and written_at >= self.until):
            return False
        return not self.names or any(_is(event.name, name) for name in self.names)


@dataclass(slots=True)
class Source:
    """The events of a cluster, from where the wish begins to where they end now."""

    settings: KafkaSettings
    wish: Wish
    counts: Pulled = field(default_factory=Pulled)
    total: int = 0

    def events(self) -> Iterator[Event]:
        """Those that are wished for. Raises `Unavailable` when the cluster does not answer."""
        registry = connect(self.settings)
        incoming = IncomingEvents(Codec(), registry)
        begins, ends = fixed_ranges(self.settings, [self.settings.topics().events], self.wish.since)
        self.total = sum(ends[place] - begins[place] for place in ends)
        return islice(self._read(incoming, begins, ends), self.wish.limit or None)

    def _read(self, incoming: IncomingEvents, begins: dict[Place, int], ends: dict[Place, int]) -> Iterator[Event]:
        reader = RangeReader(self.settings, begins, ends)
        try:
            while not reader.at_end:
                for message in reader.next_batch(500)[0]:
                    self.counts.read += 1
                    arrival = arrival_of(message)
                    try:
                        event = incoming.decode(arrival)
                    except UndecodableRecord:
                        self.counts.undecodable += 1
                        continue
                    if self.wish.covers(event, arrival.timestamp):
                        yield event
        finally:
            reader.close()


def pull(source: Source, server: Server, redact: Redact, bar: Progress, pace: Callable[[int], None]) -> Pulled:
    """Copy what is wished for; `pace` waits before each portion."""
    counts, batch = source.counts, list[Json]()
    for event in source.events():
        changed = redact(event_body(event))
        if changed is None:
            counts.left_out += 1
            continue
        batch.append(changed)
        if len(batch) >= BATCH:
            _send(server, batch, counts, pace)
            bar.at(counts.read, source.total, f"{counts.sent} sent")
    _send(server, batch, counts, pace)
    return counts


def require_dev(server: Server) -> None:
    """Real events of another place do not belong into an installation that serves others."""
    if server.describe().get("mode") != "dev":
        raise Refused(
            f"{server.url} is not a dev server: pulled events start functions there, as if they had been sent. "
            "Start `penstock dev`, name it with --url, or insist with --into-any"
        )


def event_body(event: Event) -> Json:
    """The event as `POST /e/` takes it."""
    body: Json = {
        "name": event.name,
        "id": event.id or event.internal_id,
        "data": orjson.loads(event.data),
        "ts": event.ts,
    }
    user = orjson.loads(event.user)
    if user:
        body["user"] = user
    if event.v is not None:
        body["v"] = event.v
    return body


def _send(server: Server, batch: list[Json], counts: Pulled, pace: Callable[[int], None]) -> None:
    if batch:
        pace(len(batch))
        counts.sent += len(server.send_events(batch))
        batch.clear()


def _is(name: str, wanted: str) -> bool:
    return name.startswith(wanted[:-1]) if wanted.endswith(("/*", ".*")) else name == wanted
