"""A client of the schema registry: schemas looked up by id, schemas registered under a subject.

Speaks the REST interface of Confluent's registry (Karapace and Apicurio offer it too).
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import quote

import httpx

from ..errors import InvalidSettings, Unavailable, UndecodableRecord
from ..messages.writer_schemas import WriterSchema, avro_schema

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
MAX_CACHED_SCHEMAS = 1000
MAX_SCHEMA_BYTES = 1024 * 1024
MAX_REFERENCES = 64
#: After a failure the registry is left alone for this long, so that a dead one does not hold up every record.
PAUSE_SECONDS = 1.0
#: How long an id that the registry does not have is remembered as unknown: it may be registered late.
UNKNOWN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the registry said of an id: a schema, a reason why it cannot be used, or (both None) unknown."""

    schema: WriterSchema | None
    refused: str | None
    good_until: float


class SchemaRegistry:
    """Looks up schemas by id, with a bounded memory; ids never change their meaning, so hits never expire.

    Calls block, at most `timeout_seconds` each; an unreachable registry raises `Unavailable`.
    """

    def __init__(self, url: str, timeout_seconds: float = 2.0, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(
            base_url=_checked(url),
            timeout=timeout_seconds,
            headers={"accept": f"{MEDIA_TYPE}, application/json"},
            transport=transport,
        )
        self._answers: OrderedDict[int, _Answer] = OrderedDict()
        self._paused_until = 0.0

    def __enter__(self) -> SchemaRegistry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def schema(self, schema_id: int) -> WriterSchema | None:
        """The schema with this id; see the port `WriterSchemas`."""
        answer = self._answers.get(schema_id)
        if answer is None or answer.good_until < time.monotonic():
            answer = self._ask(schema_id)
            self._remember(schema_id, answer)
        if answer.refused is not None:
            raise UndecodableRecord(answer.refused)
        return answer.schema

    def register(self, subject: str, schema: Mapping[str, object]) -> int:
        """The id of our schema, registered now unless it already was.

        Raises `InvalidSettings` when the registry refuses it, for example as incompatible.
        """
        path = f"/subjects/{quote(subject, safe='')}/versions"
        body = {"schemaType": "AVRO", "schema": json.dumps(schema)}
        try:
            response = self._client.post(path, json=body, headers={"content-type": MEDIA_TYPE})
        except httpx.HTTPError as error:
            raise Unavailable(f"the schema registry does not answer: {error!r}") from error
        if response.status_code >= 500 or response.status_code == 429:
            raise Unavailable(f"the schema registry answers {response.status_code} to {subject}")
        registered = _object(response).get("id")
        if not response.is_success or not isinstance(registered, int):
            raise InvalidSettings(
                f"the schema registry refuses {subject} ({response.status_code} {response.text[:300]}): "
                "check PENSTOCK_SCHEMA_REGISTRY_URL and the subject's compatibility setting"
            )
        return registered

    def _ask(self, schema_id: int) -> _Answer:
        found = self._get(f"/schemas/ids/{schema_id}")
        if found is None:
            return _Answer(None, None, time.monotonic() + UNKNOWN_SECONDS)
        try:
            return _Answer(self._usable(found), None, float("inf"))
        except UndecodableRecord as error:
            return _Answer(None, f"schema {schema_id}: {error}", float("inf"))

    def _usable(self, found: Mapping[str, object]) -> WriterSchema:
        kind = found.get("schemaType", "AVRO")
        if kind == "JSON":
            return WriterSchema("JSON", "")
        if kind != "AVRO":
            raise UndecodableRecord(f"{str(kind)[:40]} is not supported: send Avro or JSON")
        named: dict[str, object] = {}
        self._load_references(found, named, set())
        return avro_schema(_schema_text(found), named)

    def _load_references(
        self, found: Mapping[str, object], named: dict[str, object], seen: set[tuple[str, str]]
    ) -> None:
        """Put every schema that this one refers to into `named`, innermost first."""
        references = found.get("references") or []
        for reference in references if isinstance(references, list) else []:
            place = (str(reference.get("subject")), str(reference.get("version")))
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > MAX_REFERENCES:
                raise UndecodableRecord(f"refers to more than {MAX_REFERENCES} other schemas")
            inner = self._get(f"/subjects/{quote(place[0], safe='')}/versions/{quote(place[1], safe='')}")
            if inner is None:
                raise UndecodableRecord(f"refers to {place[0]} version {place[1]}, which the registry does not have")
            self._load_references(inner, named, seen)
            avro_schema(_schema_text(inner), named)

    def _get(self, path: str) -> Mapping[str, object] | None:
        if time.monotonic() < self._paused_until:
            raise Unavailable("the schema registry did not answer a moment ago")
        try:
            response = self._client.get(path)
        except httpx.HTTPError as error:
            raise self._pause(repr(error)) from error
        if response.status_code == 404:
            return None
        if not response.is_success:
            raise self._pause(f"status {response.status_code} to {path}")
        return _object(response)

    def _pause(self, reason: str) -> Unavailable:
        self._paused_until = time.monotonic() + PAUSE_SECONDS
        log.warning("schema registry: %s", reason)
        return Unavailable(f"the schema registry does not answer: {reason}")

    def _remember(self, schema_id: int, answer: _Answer) -> None:
        self._answers[schema_id] = answer
        while len(self._answers) > MAX_CACHED_SCHEMAS:
            self._answers.popitem(last=False)


def _checked(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise InvalidSettings(
            "PENSTOCK_SCHEMA_REGISTRY_URL must be an http(s) URL, such as https://registry.example.com"
        )
    return url.rstrip("/")


def _object(response: httpx.Response) -> Mapping[str, object]:
    """The answer's JSON object; an empty one for anything else."""
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _schema_text(found: Mapping[str, object]) -> dict[str, object] | list[object] | str:
    text = found.get("schema")
    if not isinstance(text, str) or len(text) > MAX_SCHEMA_BYTES:
        raise UndecodableRecord("the registry's answer holds no schema, or one that is too large")
    try:
        value: dict[str, object] | list[object] | str = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UndecodableRecord(f"the registered schema is not JSON: {error}") from error
    return value
