"""Ingest on a real broker: what was answered with 200 is there."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from penstock.errors import InvalidSettings, TopicMismatch
from penstock.ingest.discovery import Discovery
from penstock.ingest.owners import GroupOwners
from penstock.kafka.registry import FunctionRegistry
from penstock.messages.codec import Codec
from penstock.messages.ids import run_partition
from penstock.settings import KafkaSettings
from tests.integration.group_member import Member
from tests.integration.ingest_process import events_on_topic, eventually, ingest, settings
from tests.unit.functions.bodies import URL, body, function

RUN = "01M3250V000000000000000001"


async def test_accepted_is_kept(kafka_settings: KafkaSettings) -> None:
    """Every id of every 200 names an event on the topic, single or batched, sent at once by many."""
    async with ingest(kafka_settings) as running:
        await running.wait_ready()
        rows = [[{"name": "a/b", "data": {"n": n, "m": m}} for m in range(20)] for n in range(20)]
        answers = await asyncio.gather(*(running.http.post("/e/k", json=row) for row in rows))
        answers += await asyncio.gather(*(running.http.post("/e/k", json=row[0]) for row in rows))
        assert {answer.status_code for answer in answers} == {200}
        accepted = [event_id for answer in answers for event_id in answer.json()["ids"]]
        stored = events_on_topic(kafka_settings)
    assert len(accepted) == 420
    assert sorted(event.internal_id for event in stored) == sorted(accepted)


async def test_large_events_fit(kafka_settings: KafkaSettings) -> None:
    """Nearly 3 MiB in one event, nearly 8 MiB in one request; one byte more than allowed is refused as such."""
    mebibyte = 1024 * 1024
    rows = [{"name": "a", "data": {"x": "y" * (mebibyte * 5 // 2)}} for _ in range(3)]
    async with ingest(kafka_settings) as running:
        await running.wait_ready()
        assert (await running.http.post("/e/k", json=rows)).status_code == 200
        assert (await running.http.post("/e/k", content=b" " * (8 * mebibyte + 1))).status_code == 413
        too_large = await running.http.post("/e/k", json={"name": "a", "data": {"x": "y" * 3 * mebibyte}})
        assert (too_large.status_code, too_large.json()["ids"]) == (400, [])
    assert len(events_on_topic(kafka_settings)) == 3


async def test_a_registered_app_is_known_to_every_registry(kafka_settings: KafkaSettings) -> None:
    """Also to the next ingest, which finds nothing new in the same registration."""
    async with ingest(kafka_settings) as running:
        await running.wait_ready()
        first = await running.http.post("/fn/register", content=body(function()))
        assert first.json()["modified"] is True
    registry = FunctionRegistry(kafka_settings, Codec())
    await registry.start()
    assert [f.config.slug for f in registry.table.functions()] == ["shop-import"]
    await registry.close()
    async with ingest(kafka_settings) as running:
        await running.wait_ready()
        again = await running.http.post("/fn/register", content=body(function()))
        assert again.json()["modified"] is False
        assert (await running.http.delete("/fn/remove", params={"url": URL})).status_code == 200
        assert (await running.http.get("/dev")).json()["functions"] == []


async def test_a_taken_port_is_a_clear_error(kafka_settings: KafkaSettings) -> None:
    """It names the port and the setting."""
    server = settings()
    async with ingest(kafka_settings, server) as running:
        await running.wait_ready()
        async with ingest(kafka_settings, server) as second:
            with pytest.raises(InvalidSettings, match="PENSTOCK_PORT"):
                await second.wait_ready()


async def test_topics_of_another_shape_end_the_service(kafka_settings: KafkaSettings) -> None:
    """Events on the wrong number of partitions would be found by nobody."""
    other = kafka_settings.model_copy(update={"run_partitions": 7})
    async with ingest(other) as running:
        with pytest.raises(TopicMismatch, match="run-steps"):
            await running.wait_ready()


async def test_owners_are_found_by_the_groups_members(kafka_settings: KafkaSettings) -> None:
    """The address is in the member's client id; a member that left is found out when its address is wrong."""
    owners = GroupOwners(kafka_settings)
    partition = run_partition(RUN, kafka_settings.run_partitions)  # type: ignore[arg-type]

    async def is_found(address: str | None, known_wrong: str | None = None) -> bool:
        return await owners.address(partition, known_wrong) == address

    assert await is_found(None)
    member = Member(kafka_settings, "penstock-executor|127.0.0.1:4711")
    try:
        await eventually(lambda: is_found("127.0.0.1:4711"))
    finally:
        await asyncio.to_thread(member.close)
    assert await is_found("127.0.0.1:4711")
    await eventually(lambda: is_found(None, known_wrong="127.0.0.1:4711"))


async def test_apps_are_discovered_by_their_answer() -> None:
    """An open port is an app only if an SDK answers; what is none is left alone, what is known is not asked."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(1000)
        if request:
            asked.append(request.split(b" ")[1])
            sdk = b"x-inngest-sdk: inngest-py:v1\r\n" if asked[-1] == b"/x/inngest" else b""
            writer.write(b"HTTP/1.1 200 OK\r\n" + sdk + b"content-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    app = await asyncio.start_server(answer, "127.0.0.1", 0)
    dumb = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    ports = tuple(server.sockets[0].getsockname()[1] for server in (app, dumb))
    known: set[str] = set()
    async with httpx.AsyncClient(trust_env=False) as outgoing:
        discovery = Discovery(outgoing, known.__contains__, ports)
        found = [url async for url in discovery.look()]
        assert found == [f"http://127.0.0.1:{ports[0]}/x/inngest"]
        assert asked == [b"/api/inngest", b"/x/inngest"]
        known.update(found)
        assert [url async for url in discovery.look()] == []
        assert len(asked) == 2
    app.close()
    dumb.close()
