"""Which topic is it? A name says little: a topic that was deleted and made anew has the same, and another id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin._topic import TopicDescription

from ..errors import Unavailable
from ..settings import KafkaSettings
from .probe import admin_client

_ANSWER_SECONDS = 10.0
_UNKNOWN = {KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE, KafkaError.TOPIC_AUTHORIZATION_FAILED}
#: What librdkafka makes of a broker that knows no ids.
_ZERO = "A" * 22


def topic_ids(settings: KafkaSettings, topics: Sequence[str]) -> Mapping[str, str]:
    """The ids that Kafka gave the topics when they were made; empty where the cluster does not tell.

    Blocks; raises `Unavailable` when the cluster does not answer.
    """
    client = admin_client(settings)  # kept until it has answered: without it nobody would
    asked = client.describe_topics(TopicCollection(list(topics)), request_timeout=_ANSWER_SECONDS)
    return {topic: _answered(topic, future) for topic, future in asked.items()}


def _answered(topic: str, future: Future[TopicDescription]) -> str:
    try:
        found = str(future.result(_ANSWER_SECONDS + 1).topic_id)
    except KafkaException as error:
        if error.args[0].code() in _UNKNOWN:
            return ""
        raise Unavailable(f"Kafka does not describe topic {topic}: {error.args[0].str()}") from error
    except FutureTimeout as error:
        raise Unavailable(f"Kafka does not describe topic {topic} within {_ANSWER_SECONDS:.0f} s") from error
    return "" if found == _ZERO else found
