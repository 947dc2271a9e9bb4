"""Reading commands: `run-steps` from the offsets that restored states say, without a consumer group."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import defaultdict

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ..errors import PenstockError, UndecodableRecord
from ..exhaustion import end_if_out_of_memory
from ..kafka import clients
from ..kafka.arrivals import arrival_of
from ..messages.codec import Codec
from ..messages.dead_letters import dead_letter_of
from ..messages.records import DeadLetter
from ..runs.commands import Command, usable_command
from ..settings import KafkaSettings
from .arrivals import CommandArrived
from .partition import PartitionOwner

log = logging.getLogger(__name__)

#: An owner with more arrivals waiting gets no further commands until it has worked off most of them.
PAUSE_ABOVE = 5000
RESUME_BELOW = 1000
#: The same in characters of payload: a few large events are as much to hold as many small ones.
PAUSE_ABOVE_SIZE = 64 * 1024 * 1024
RESUME_BELOW_SIZE = 16 * 1024 * 1024
#: Pause after an error, before the same commands are read again.
RETRY_SECONDS = 0.2
#: What is new of assignments and pauses waits this long at most: nothing else wakes a consumer that hears nothing.
POLL_SECONDS = 0.1


class CommandReader:
    """One consumer for all partitions of this process; its thread decodes and hands over in batches.

    What cannot be taken arrives as a dead letter, so that it is written in the commit that passes over it: once.
    """

    def __init__(self, settings: KafkaSettings, codec: Codec) -> None:
        self._topic = settings.topics().run_steps
        self._partitions = settings.run_partitions
        self._codec = codec
        self._loop = asyncio.get_running_loop()
        group = f"{settings.topic_prefix}executor-commands"
        # A place that is gone (the topic was made anew, or cut) is for the owner to decide about, not for a default.
        config = clients.consumer(settings, "penstock-commands", group) | {"auto.offset.reset": "error"}
        self._consumer = Consumer(config)
        self._lock = threading.Lock()
        self._owners: dict[int, PartitionOwner] = {}
        self._next: dict[int, int] = {}
        self._paused: set[int] = set()
        self._changed = False
        self._open = True
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._read, name="commands", daemon=True)
        self._thread.start()

    def add(self, owner: PartitionOwner) -> None:
        """Hand the owner every command from its `next_command` on."""
        with self._lock:
            self._owners[owner.partition] = owner
            self._next[owner.partition] = owner.next_command
            self._changed = True
        self._idle.set()

    def remove(self, owner: PartitionOwner) -> None:
        with self._lock:
            if self._owners.get(owner.partition) is owner:
                del self._owners[owner.partition]
                del self._next[owner.partition]
                self._paused.discard(owner.partition)
                self._changed = True

    async def close(self) -> None:
        self._open = False
        self._idle.set()
        await asyncio.to_thread(self._thread.join, 5.0)

    def _read(self) -> None:
        while self._open:
            if not self._owners:
                self._idle.wait(1.0)
                self._idle.clear()
            try:
                self._read_once()
            except (KafkaException, PenstockError) as error:
                self._read_again(error)
            except Exception as error:  # this thread is the only way in: it goes on, whatever happened
                end_if_out_of_memory(error)
                log.exception("reading commands failed")
                self._read_again(error)
        self._consumer.close()

    def _read_again(self, error: Exception) -> None:
        """What was fetched and not handed over must come once more."""
        log.warning("reading commands: %s; reading them again", error)
        with self._lock:
            self._changed = True
        time.sleep(RETRY_SECONDS)

    def _read_once(self) -> None:
        with self._lock:
            if self._changed:
                self._assign()
        self._balance()
        first = self._consumer.poll(POLL_SECONDS)
        if first is None:
            return
        batches: dict[int, list[CommandArrived]] = defaultdict(list)
        for message in [first, *self._consumer.consume(1000, 0)]:
            if message.error() is None:
                batches[message.partition() or 0].append(CommandArrived(message.offset() or 0, self._decode(message)))
            else:
                self._failed(message)
        with self._lock:
            # What was fetched before an assignment changed is not what its new owner asked for: it is read again.
            if not self._changed:
                for partition, batch in batches.items():
                    self._hand_over(partition, batch)

    def _failed(self, message: Message) -> None:
        error, owner = message.error(), self._owners.get(message.partition() or 0)
        log.debug("reading commands: %s", error)
        if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET and owner is not None:
            self._loop.call_soon_threadsafe(owner.end, f"its place in {self._topic} is gone: {error.str()}")

    def _assign(self) -> None:
        places = [TopicPartition(self._topic, p, offset) for p, offset in self._next.items()]
        self._consumer.assign(places)
        if places:
            # A partition that was paused once stays so over any number of assignments.
            self._consumer.resume(places)
        self._paused.clear()
        self._changed = False

    def _balance(self) -> None:
        for partition, owner in list(self._owners.items()):
            place = [TopicPartition(self._topic, partition)]
            has_much = owner.waiting > PAUSE_ABOVE or owner.waiting_size > PAUSE_ABOVE_SIZE
            has_little = owner.waiting < RESUME_BELOW and owner.waiting_size < RESUME_BELOW_SIZE
            if partition not in self._paused and has_much:
                self._paused.add(partition)
                self._consumer.pause(place)
            elif partition in self._paused and has_little:
                self._paused.discard(partition)
                self._consumer.resume(place)

    def _hand_over(self, partition: int, batch: list[CommandArrived]) -> None:
        owner = self._owners.get(partition)
        if owner is not None and not self._loop.is_closed():
            self._next[partition] = batch[-1].offset + 1
            self._loop.call_soon_threadsafe(owner.put_all, batch)

    def _decode(self, message: Message) -> Command | DeadLetter:
        try:
            record = self._codec.decode(message.value() or b"")
            return usable_command(record, message.partition() or 0, self._partitions)
        except UndecodableRecord as error:
            log.warning("%s/%s@%s is a dead letter: %s", *_place(message), error)
            return dead_letter_of(arrival_of(message), message.key(), str(error), time.time_ns() // 1_000_000)


def _place(message: Message) -> tuple[str | None, int | None, int | None]:
    return message.topic(), message.partition(), message.offset()
