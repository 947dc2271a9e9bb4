"""Which topic is it? A name says little: a topic that was deleted and made anew has the same, and another id."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeout

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from ..errors import Unavailable
from ..settings import KafkaSettings
from .probe import admin_client

_ANSWER_SECONDS = 10.0
_UNKNOWN = {KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE, KafkaError.TOPIC_AUTHORIZATION_FAILED}
#: What librdkafka makes of a broker that knows no ids.
_ZERO = "A" * 22


def topic_id(settings: KafkaSettings, topic: str) -> str:
    """The id that Kafka gave the topic when it was made; empty where the cluster does not tell.

    Blocks; raises `Unavailable` when the cluster does not answer.
    """
    client = admin_client(settings)
    try:
        future = client.describe_topics(TopicCollection([topic]), request_timeout=_ANSWER_SECONDS)[topic]
        found = str(future.result(_ANSWER_SECONDS + 1).topic_id)
    except KafkaException as error:
        if error.args[0].code() in _UNKNOWN:
            return ""
        raise Unavailable(f"Kafka does not describe topic {topic}: {error.args[0].str()}") from error
    except FutureTimeout as error:
        raise Unavailable(f"Kafka does not describe topic {topic} within {_ANSWER_SECONDS:.0f} s") from error
    return "" if found == _ZERO else found
