"""Leaves a transaction hanging on a real broker: a write that the transaction's coordinator does not know of.

That is what a broker can be left with that stood still while it aborted the transaction. No client offers it, so the
request is put together here.
"""

from __future__ import annotations

import asyncio

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry
from confluent_kafka.admin._config import ConfigResource

from penstock.settings import KafkaSettings

#: What a broker says of a topic that has just been made, and before it hears that it shall not verify.
NOT_LEADER, INVALID_TXN_STATE = 6, 48
SECONDS = 15.0


def verification(settings: KafkaSettings, wanted: bool) -> None:
    """Whether brokers ask the coordinator before they take in the first write of a transaction."""
    name = "transaction.partition.verification.enable"
    entry = ConfigEntry(name, str(wanted).lower(), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(10)


async def leave_hanging(settings: KafkaSettings, transactional_id: str, topic: str, partition: int, key: bytes) -> None:
    """Write a record with the producer id of `transactional_id`, in no transaction that its coordinator knows of."""
    client = AIOKafkaClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await client.bootstrap()
    try:
        await client.set_topics([topic])
        coordinator = await client.coordinator_lookup(1, transactional_id)
        producer = await client.send(
            coordinator, InitProducerIdRequest(transactional_id, 10_000), group=ConnectionGroup.COORDINATION
        )
        assert producer.error_code == 0, producer
        builder = DefaultRecordBatchBuilder(2, 0, 1, producer.producer_id, producer.producer_epoch, 0, 16_384)
        builder.append(0, 1_700_000_000_000, key, b"of a zombie", [])
        request = ProduceRequest(transactional_id, -1, 10_000, [(topic, [(partition, bytes(builder.build()))])])
        place, error = TopicPartition(topic, partition), NOT_LEADER
        async with asyncio.timeout(SECONDS):
            while error in (NOT_LEADER, INVALID_TXN_STATE):
                answer = await client.send(client.cluster.leader_for_partition(place), request)
                error = answer.topics[0][1][0][1]
                await client.force_metadata_update()
        assert error == 0, answer
    finally:
        await client.close()
