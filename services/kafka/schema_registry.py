"""The schema registry, when one is configured: other writers' schemas looked up, our own registered.

Subjects follow RecordNameStrategy (`penstock.RunStarted`), because several kinds of records share a topic.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ..errors import Unavailable
from ..messages.codec import Codec, read_schema
from ..messages.records import RECORDS
from ..settings import KafkaSettings

if TYPE_CHECKING:
    from .schema_client import SchemaRegistry

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


def connect(settings: KafkaSettings) -> SchemaRegistry | None:
    """The registry of the settings, or None when none is configured."""
    if not settings.schema_registry_url:
        return None
    # Imported here, so that a process without a registry carries no HTTP client: that saves it 6 MB.
    from .schema_client import SchemaRegistry

    return SchemaRegistry(settings.schema_registry_url)


def codec(registry: SchemaRegistry | None) -> Codec:
    """The codec of this process: with a registry it writes Confluent framing, else single-object encoding.

    Registers our schemas; raises `Unavailable` while the registry is away, so that a service can wait for it.
    """
    if registry is None:
        return Codec()
    ids = {cls.__name__: registry.register(f"penstock.{cls.__name__}", read_schema(cls)) for cls in RECORDS}
    return Codec(ids, registry)


async def wait_for_codec(settings: KafkaSettings) -> tuple[Codec, SchemaRegistry | None]:
    """The codec, and the registry it uses when one is configured; waits, and says so, while that does not answer."""
    registry = connect(settings)
    while True:
        try:
            return await asyncio.to_thread(codec, registry), registry
        except Unavailable as error:
            log.warning("waiting: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
