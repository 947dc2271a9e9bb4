"""Topics on the cluster: made when missing, held against the shape they need.

Partition counts are fixed at creation (a run id's bucket is mapped to a partition by them) and a changelog that is
not compacted loses state, so a topic of another shape is an error at start, not a surprise later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewTopic

from ..errors import TopicMismatch, Unavailable
from ..messages.topics import TopicSpec
from ..settings import KafkaSettings
from .probe import admin_client, wait_for_kafka

REQUEST_SECONDS = 10.0
SETTLE_SECONDS = 15.0


def create_topics(settings: KafkaSettings) -> list[str]:
    """Make the topics that are missing and return their names; those that exist are left as they are.

    Raises `Unavailable` when the cluster does not answer or refuses. Several callers at once do no harm.
    """
    client = admin_client(settings)
    missing = [spec for spec in settings.topics().specs() if spec.name not in _partition_counts(client)]
    if not missing:
        return []
    made = _create(client, missing, settings.replication_factor)
    _wait_until_visible(client, missing)
    return made


def check_topics(settings: KafkaSettings) -> list[str]:
    """What is wrong with the topics, one sentence each with what to do; empty when all is well.

    Raises `Unavailable` when the cluster does not answer.
    """
    client = admin_client(settings)
    counts = _partition_counts(client)
    specs = settings.topics().specs()
    problems = [f"topic {s.name} is missing: run `penstock topics create`" for s in specs if s.name not in counts]
    present = [spec for spec in specs if spec.name in counts]
    problems += [_count_problem(spec, counts[spec.name]) for spec in present if counts[spec.name] != spec.partitions]
    policies = _cleanup_policies(client, [spec.name for spec in present])
    problems += [
        _policy_problem(s, policies[s.name])
        for s in present
        if set(policies[s.name].split(",")) != set(s.cleanup.split(","))
    ]
    return problems


def _words(policy: str) -> set[str]:
    """Kafka takes the policies of a topic in any order."""
    return set(policy.split(","))


async def ensure_topics(settings: KafkaSettings, say: Callable[[str], None]) -> None:
    """What every service does first: wait for Kafka, make missing topics, and check all of them.

    Raises `TopicMismatch` with all problems. Waits as long as the cluster is away.
    """
    while True:
        await wait_for_kafka(settings, say)
        try:
            problems = await asyncio.to_thread(_create_and_check, settings)
        except Unavailable as error:
            say(f"waiting for Kafka at {settings.kafka_bootstrap_servers}: {error}")
            await asyncio.sleep(1.0)
            continue
        if problems:
            raise TopicMismatch("; ".join(problems))
        return


def _create_and_check(settings: KafkaSettings) -> list[str]:
    create_topics(settings)
    return check_topics(settings)


def _count_problem(spec: TopicSpec, found: int) -> str:
    return (
        f"topic {spec.name} has {found} partitions, the settings say {spec.partitions}: counts are fixed at creation, "
        f"so set PENSTOCK_EVENT_PARTITIONS and PENSTOCK_RUN_PARTITIONS as when it was made, or use another "
        f"PENSTOCK_TOPIC_PREFIX"
    )


def _policy_problem(spec: TopicSpec, found: str) -> str:
    return (
        f"topic {spec.name} has cleanup.policy={found}, but needs {spec.cleanup}: alter it with "
        f"`kafka-configs --alter --topic {spec.name} --add-config cleanup.policy={spec.cleanup}`"
    )


def _partition_counts(client: AdminClient) -> dict[str, int]:
    try:
        topics = client.list_topics(timeout=REQUEST_SECONDS).topics
    except KafkaException as error:
        raise Unavailable(f"Kafka does not list its topics: {error}") from error
    return {name: len(topic.partitions) for name, topic in topics.items() if topic.error is None}


def _create(client: AdminClient, specs: Sequence[TopicSpec], replication: int) -> list[str]:
    """Names of those made by us; somebody else may have been faster with the others."""
    futures = client.create_topics([_new(spec, replication) for spec in specs], request_timeout=REQUEST_SECONDS)
    return [name for name, future in futures.items() if _was_created(name, future)]


def _new(spec: TopicSpec, replication: int) -> NewTopic:
    config = {"cleanup.policy": spec.cleanup, **dict(spec.config)}
    return NewTopic(spec.name, num_partitions=spec.partitions, replication_factor=replication, config=config)


def _was_created(name: str, future: Future[None]) -> bool:
    try:
        future.result(REQUEST_SECONDS + 1)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise Unavailable(f"Kafka did not create topic {name}: {error.args[0].str()}") from error
    except FutureTimeout as error:
        raise Unavailable(f"Kafka did not create topic {name} within {REQUEST_SECONDS:.0f} s") from error
    return True


def _wait_until_visible(client: AdminClient, specs: Iterable[TopicSpec]) -> None:
    """The controller answers before every broker knows; what follows asks brokers."""
    wanted = {spec.name for spec in specs}
    deadline = time.monotonic() + SETTLE_SECONDS
    while not wanted <= _partition_counts(client).keys():
        if time.monotonic() > deadline:
            raise Unavailable(f"created topics did not become visible within {SETTLE_SECONDS:.0f} s")
        time.sleep(0.02)


def _cleanup_policies(client: AdminClient, names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    futures = client.describe_configs(resources, request_timeout=REQUEST_SECONDS)
    try:
        described = {resource.name: future.result(REQUEST_SECONDS + 1) for resource, future in futures.items()}
    except (KafkaException, FutureTimeout) as error:
        raise Unavailable(f"Kafka does not describe its topics: {error}") from error
    return {name: str(config["cleanup.policy"].value) for name, config in described.items()}
