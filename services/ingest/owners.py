"""Who owns a partition of runs: told by the members of the executors' consumer group.

An executor's client id is `penstock-executor|<host>:<port>`, where it answers about the runs it owns.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ..kafka.probe import admin_client
from ..settings import KafkaSettings

log = logging.getLogger(__name__)

CLIENT_ID_PREFIX = "penstock-executor|"
TIMEOUT_SECONDS = 2.0
#: Many may ask at once while a partition changes hands; the group is asked this often at most.
REFRESH_SECONDS = 0.2


class Owners(Protocol):
    """Where the owner of a partition answers."""

    async def address(self, partition: int, known_wrong: str | None = None) -> str | None:
        """`host:port`, or None while nobody owns it. `known_wrong` is an address that was given and did not help."""


class GroupOwners:
    """Owners as the group's coordinator knows them, remembered until somebody finds one wrong."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._group = f"{settings.topic_prefix}executor"
        self._topic = settings.topics().run_steps
        self._client: AdminClient | None = None
        self._addresses: dict[int, str] = {}
        self._asked_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def address(self, partition: int, known_wrong: str | None = None) -> str | None:
        found = self._addresses.get(partition)
        if found is not None and found != known_wrong:
            return found
        async with self._one_at_a_time:
            if time.monotonic() - self._asked_at > REFRESH_SECONDS:
                self._addresses = await asyncio.to_thread(self._ask)
                self._asked_at = time.monotonic()
        return self._addresses.get(partition)

    def _ask(self) -> dict[int, str]:
        self._client = self._client or admin_client(self._settings)
        try:
            asked = self._client.describe_consumer_groups([self._group], request_timeout=TIMEOUT_SECONDS)
            members = asked[self._group].result(TIMEOUT_SECONDS + 1).members
        except (KafkaException, TimeoutError) as error:
            # One that has lived through the end of a broker may never get an answer again, or, asked once more, abort
            # the process (an assertion in librdkafka 2.16): the next one is new.
            self._client = None
            log.debug("group %s: %s", self._group, error)
            return {}
        return {
            place.partition: member.client_id.removeprefix(CLIENT_ID_PREFIX)
            for member in members
            if member.client_id.startswith(CLIENT_ID_PREFIX) and member.assignment is not None
            for place in member.assignment.topic_partitions
            if place.topic == self._topic
        }
