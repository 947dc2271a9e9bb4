"""Faust let into our Kafka: one consumer of committed records, and nothing else.

Faust's own way of making its consumer reads uncommitted records, cannot be told how long a fetch may wait, and takes
credentials in another form. So its consumer thread is given a consumer made here, from `KafkaSettings`. Faust's
producer is not started at all: what the matcher sends goes through librdkafka.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import aiokafka
import faust
from aiokafka import errors
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.helpers import create_ssl_context
from aiokafka.structs import OffsetAndMetadata
from faust.app.base import BootStrategy
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message
from mode.utils.futures import notify

from ..errors import Fenced, Unavailable
from ..kafka.clients import HEARTBEAT_MS, MAX_MESSAGE_BYTES
from ..settings import KafkaSettings
from .acknowledgements import Place

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 500
#: What one fetch may bring: all of it is in memory until it is matched.
FETCH_BYTES = 16 * 1024 * 1024
JOIN_MARGIN_MS = 2000
REBALANCE_POLL_SECONDS = 0.02
#: Less than a session: by then the group must have heard of us again.
EMPTY_SECONDS = 4.0

#: Of a partition that lost its tail, what is not older is taken again: so long a repeated event is known as one.
TAKEN_AGAIN_SECONDS = 23 * 3600.0

_GROUP_WENT_ON = (
    errors.CommitFailedError,
    errors.IllegalGenerationError,
    errors.IllegalStateError,
    errors.RebalanceInProgressError,
    errors.UnknownMemberIdError,
)


Note = Callable[[Place], str | None]


def no_note(place: Place) -> str:
    return ""


class ConsumerOnly(BootStrategy):
    """Starts Faust without its producer and its web server."""

    enable_kafka_producer = False
    enable_web = False


def transport(
    app: faust.App, settings: KafkaSettings, held_back: Callable[[], Collection[Place]] = tuple, note: Note = no_note
) -> driver.Transport:
    """Faust's Kafka transport with our consumer in it; nothing is read of partitions that are `held_back`.

    Beside each offset that is stored stands the partition's `note`; without one, not even "", nothing is stored yet.
    Its assignor gives the partitions of one number, of topics with equal counts, to one member: waits and events meet.
    """

    class ConsumerThread(driver.AIOKafkaConsumerThread):
        def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
            self._assignor = RangePartitionAssignor
            return aiokafka.AIOKafkaConsumer(**consumer_options(settings, app.conf.id))

        async def store(self, offsets: Mapping[TP, OffsetAndMetadata], read_on: bool = False) -> None:
            """Store offsets for the group, as a member of it, and perhaps read on from them."""
            await self.call_thread(self._store, offsets, read_on)

        async def stored(self, places: Collection[Place]) -> Mapping[Place, tuple[int, str]]:
            found = await self.call_thread(self._stored, [aiokafka.TopicPartition(*place) for place in places])
            return {(tp.topic, tp.partition): (at.offset, at.metadata) for tp, at in found.items()}

        async def _stored(
            self, places: Collection[aiokafka.TopicPartition]
        ) -> Mapping[aiokafka.TopicPartition, OffsetAndMetadata]:
            """aiokafka's `committed` leaves the metadata out, and librdkafka's copies of it have no end."""
            coordinator = self._ensure_consumer()._coordinator
            try:
                found: Mapping[aiokafka.TopicPartition, OffsetAndMetadata]
                found = await coordinator.fetch_committed_offsets(places)
            except errors.KafkaError as error:
                raise Unavailable(f"the group's coordinator does not tell offsets: {error!r}") from error
            return found

        async def _store(self, offsets: Mapping[TP, OffsetAndMetadata], read_on: bool) -> None:
            consumer = self._ensure_consumer()
            try:
                await consumer.commit({driver.ensure_aiokafka_TP(tp): at for tp, at in offsets.items()})
                self.tp_last_committed_at.update(dict.fromkeys(offsets, time.monotonic()))  # Faust complains without
                for tp, stored in offsets.items() if read_on else ():
                    consumer.seek(driver.ensure_aiokafka_TP(tp), stored.offset)
            except _GROUP_WENT_ON as error:
                raise Fenced(f"the group has gone on without us: {error}") from error
            except errors.KafkaError as error:
                raise Unavailable(f"the group's coordinator does not take offsets: {error!r}") from error

    class OurConsumer(driver.Consumer):
        def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
            self._ours = ConsumerThread(self, loop=self.loop, beacon=self.beacon)
            return self._ours

        async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
            """What has come, each record with the gap before it noted where Faust would not: it takes having read
            offset 0 for having read nothing, and what lies behind the gap would never be committed."""
            async for tp, message in super().getmany(timeout):
                if self._lost_its_tail(tp, message):
                    self._begin_again(tp, message.offset)
                if self._read_offset[tp] == 0 and message.offset > 1:
                    await self._add_gap(tp, 1, message.offset)
                yield tp, message

        def _lost_its_tail(self, tp: TP, message: Message) -> bool:
            """The log ends before what was read of it: new records have the offsets of lost ones, and Faust would pass
            them over. aiokafka, which is told that there is nothing at such an offset, begins with the first."""
            read: int | None = self._read_offset[tp]
            if read is None or message.offset >= read or (message.timestamp or 0) < time.time() - TAKEN_AGAIN_SECONDS:
                return False
            end: int | None = self.highwater(tp)
            return end is not None and end < read

        def _begin_again(self, tp: TP, offset: int) -> None:
            """Take and commit from this offset on, whatever was committed before."""
            log.warning("%s/%s ends before offset %s: taken again from %s", *tp, self._read_offset[tp], offset)
            self._read_offset[tp] = None
            self._committed_offset[tp] = offset or None
            for noted in (self._acked, self._acked_index, self._gap):
                noted.pop(tp, None)

        async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
            """Offsets without a record, such as markers of transactions.

            Faust counts the record behind a gap into it: that would be committed before it is matched, and when it
            is, it counts twice, which holds the next commits back.
            """
            await super()._add_gap(tp, offset_from, offset_to - 1)

        async def wait_empty(self) -> None:
            """Give what is being matched a moment to be delivered; what is not is matched again after the rebalance.

            Without a bound, one delivery that does not come would keep this process out of its group.
            """
            try:
                async with asyncio.timeout(EMPTY_SECONDS):
                    await super().wait_empty()
            except TimeoutError:
                log.warning("rebalancing, though not all that was matched is delivered: it is matched again")

        def resume_partitions(self, tps: Iterable[TP]) -> None:
            held = held_back()
            super().resume_partitions({tp for tp in tps if (tp.topic, tp.partition) not in held})

        async def let_go(self, places: Mapping[Place, int | None]) -> None:
            """Read these partitions from now on; where an offset is given, from there, for the whole group.

            `Fenced` when the group has gone on: another assignment follows.
            """
            await self._rebalanced()
            tps = {TP(*place): offset for place, offset in places.items()}
            moved = {tp: offset for tp, offset in tps.items() if offset is not None}
            if moved:
                await self._ours.store({tp: OffsetAndMetadata(at, "") for tp, at in moved.items()}, read_on=True)
                self._committed_offset.update(moved)
                self._read_offset.update(moved)
            self.resume_partitions(tps)

        def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
            """What waits for its note is passed over before it is counted: Faust would not count it again."""
            return (
                tp for tp in super()._filter_tps_with_pending_acks(topics) if note((tp.topic, tp.partition)) is not None
            )

        async def _commit(self, offsets: Mapping[TP, int]) -> bool:
            """As Faust does, also after an error: a stop that raised half-way would leave its thread in the group."""
            try:
                return await self._stored_with_notes(offsets)
            except Unavailable as error:
                await self.crash(error)
                return False

        async def stored(self, places: Collection[Place]) -> Mapping[Place, tuple[int, str]]:
            """What the group had stored of these partitions, offsets and notes, where we began to read.

            An offset that came in between is not where we began, so its note does not hold for what we match.
            """
            await self._rebalanced()
            found = await self._ours.stored(places)
            begun = {place: self._committed_offset[TP(*place)] or 0 for place in found}
            return {place: at if at[0] == begun[place] else (begun[place], "") for place, at in found.items()}

        async def note_again(self, places: Collection[Place]) -> None:
            """Store the offsets of these partitions once more, with the notes of now; without an offset all is read."""
            await self._between_commits()
            committed = {tp: self._committed_offset[tp] for tp in (TP(*place) for place in places)}
            ours = self._commit_fut = asyncio.get_running_loop().create_future()  # by it Faust keeps commits apart
            try:
                await self._stored_with_notes({tp: offset for tp, offset in committed.items() if offset})
            finally:
                if self._commit_fut is ours:
                    self._commit_fut = None
                notify(ours)

        async def _stored_with_notes(self, offsets: Mapping[TP, int]) -> bool:
            """False when the group has gone on. Offset and note are taken together: whenever they are stored, late and
            by whomever, they say what is true."""
            noted = {tp: OffsetAndMetadata(at, note((tp.topic, tp.partition))) for tp, at in offsets.items()}
            noted = {tp: stored for tp, stored in noted.items() if stored.metadata is not None}
            try:
                if noted:
                    await self._ours.store(noted)
            except Fenced as error:
                log.info("not committed: %s", error)
                return False
            return True

        async def _between_commits(self) -> None:
            while True:
                if self._commit_fut is None and not self.app.rebalancing:
                    return
                await asyncio.sleep(REBALANCE_POLL_SECONDS)

        async def _rebalanced(self) -> None:
            """The end of a rebalance puts every partition back to what the group has stored: return after it."""
            while True:
                if not self.app.rebalancing:
                    return
                await asyncio.sleep(REBALANCE_POLL_SECONDS)

    class Transport(driver.Transport):
        Consumer = OurConsumer

    return Transport(app.conf.broker, app, loop=app.loop)


def consumer_options(settings: KafkaSettings, group: str) -> dict[str, Any]:
    """Our settings in aiokafka's words."""
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": "penstock-matcher",
        "group_id": group,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "partition_assignment_strategy": [RangePartitionAssignor],
        "session_timeout_ms": settings.kafka_session_timeout_ms,
        # Joining is answered when all members have come, which may take as long as a rebalance.
        "rebalance_timeout_ms": settings.kafka_request_timeout_ms,
        "request_timeout_ms": settings.kafka_request_timeout_ms + JOIN_MARGIN_MS,
        "heartbeat_interval_ms": HEARTBEAT_MS,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "fetch_max_bytes": FETCH_BYTES,
        "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
        "retry_backoff_ms": 50,
    } | _access(settings)


def _access(settings: KafkaSettings) -> dict[str, Any]:
    return {
        "security_protocol": settings.kafka_security_protocol,
        "sasl_mechanism": settings.kafka_sasl_mechanism or "PLAIN",
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": settings.kafka_sasl_password,
        "ssl_context": _tls(settings) if "SSL" in settings.kafka_security_protocol.split("_") else None,
    }


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    context: ssl.SSLContext = create_ssl_context(
        cafile=settings.kafka_ssl_ca_location,
        certfile=settings.kafka_ssl_certificate_location,
        keyfile=settings.kafka_ssl_key_location,
        password=settings.kafka_ssl_key_password,
    )
    return context
