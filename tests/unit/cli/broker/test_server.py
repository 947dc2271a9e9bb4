"""The broker's configuration and data directory, without a broker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from penstock.cli.broker.installation import Installation
from penstock.cli.broker.server import BrokerPlace, Door, command
from penstock.errors import InvalidSettings


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """One whose formatted directory looks like Kafka's."""
    formatted = tmp_path / "formatted"
    (formatted / "__cluster_metadata-0").mkdir(parents=True)
    (formatted / "__cluster_metadata-0" / "00000000000000000000-0000000000.checkpoint").write_bytes(b"features")
    meta = formatted / "meta.properties"
    meta.write_text("cluster.id=AAAAAAAAAAAAAAAAAAAAAQ\ndirectory.id=BBBBBBBBBBBBBBBBBBBBBQ\nnode.id=1\nversion=1\n")
    return Installation("4.2.2", (tmp_path / "kafka.jar",), formatted, tmp_path / "startup.aot")


def _meta(place: BrokerPlace) -> dict[str, str]:
    lines = (place.data / "meta.properties").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_each_data_directory_is_a_cluster_of_its_own(installation: Installation, tmp_path: Path) -> None:
    """Two directories get different cluster ids, and keep what formatting put there."""
    one, two = BrokerPlace(tmp_path / "one", 1001, 1002), BrokerPlace(tmp_path / "two", 1003, 1004)
    command(installation, one)
    command(installation, two)
    assert _meta(one)["cluster.id"] != _meta(two)["cluster.id"]
    assert _meta(one)["node.id"] == "1"
    assert next((one.data / "__cluster_metadata-0").iterdir()).read_bytes() == b"features"


def test_a_used_directory_keeps_its_identity_on_another_port(installation: Installation, tmp_path: Path) -> None:
    """A second start changes where the broker listens, not who it is nor what it has."""
    command(installation, BrokerPlace(tmp_path / "kafka", 1001, 1002))
    place = BrokerPlace(tmp_path / "kafka", 2001, 2002)
    before = _meta(place)
    (place.data / "events-0").mkdir()
    command(installation, place)
    assert _meta(place) == before
    assert (place.data / "events-0").is_dir()
    properties = (tmp_path / "kafka" / "server.properties").read_text("utf-8")
    assert "PLAINTEXT://127.0.0.1:2001" in properties
    assert "1001" not in properties


def test_a_directory_that_was_never_finished_is_made_anew(installation: Installation, tmp_path: Path) -> None:
    """Killed while the directory was being made: the next start makes it whole."""
    place = BrokerPlace(tmp_path / "kafka", 1001, 1002)
    (place.folder / "data.new" / "half").mkdir(parents=True)
    command(installation, place)
    assert _meta(place)["version"] == "1"
    assert not (place.data / "half").exists()


def test_the_broker_listens_on_loopback_only(installation: Installation, tmp_path: Path) -> None:
    """Neither clients nor the quorum are reachable from outside."""
    command(installation, BrokerPlace(tmp_path / "kafka", 1001, 1002))
    lines = (tmp_path / "kafka" / "server.properties").read_text("utf-8").splitlines()
    listeners = next(line for line in lines if line.startswith("listeners="))
    assert listeners == "listeners=PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:1002"


def test_clients_of_a_door_are_told_what_lies_before_it(installation: Installation, tmp_path: Path) -> None:
    """Who comes by a door's port is sent back to the door's other side; the rest of the broker does not change."""
    command(installation, BrokerPlace(tmp_path / "kafka", 1001, 1002, (Door(1003, 2003),)))
    properties = (tmp_path / "kafka" / "server.properties").read_text("utf-8")
    written = dict(line.split("=", 1) for line in properties.splitlines())
    controller = "CONTROLLER://127.0.0.1:1002"
    assert written["listeners"] == f"PLAINTEXT://127.0.0.1:1001,DOOR0://127.0.0.1:1003,{controller}"
    assert written["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1001,DOOR0://127.0.0.1:2003"
    assert written["listener.security.protocol.map"] == "PLAINTEXT:PLAINTEXT,DOOR0:PLAINTEXT,CONTROLLER:PLAINTEXT"


def test_data_of_a_later_kafka_is_refused_in_words(installation: Installation, tmp_path: Path) -> None:
    """Kafka itself would end with a stack trace, again and again; data of an earlier release is read."""
    place = BrokerPlace(tmp_path / "kafka", 1001, 1002)
    command(replace(installation, kafka="4.10.0"), place)
    command(replace(installation, kafka="4.10.0"), place)
    command(replace(installation, kafka="5.0.1"), place)
    with pytest.raises(InvalidSettings, match=r"kafka holds data of Kafka 4\.10\.0, which the embedded Kafka 4\.9\.1"):
        command(replace(installation, kafka="4.9.1"), place)


def test_data_that_does_not_say_by_whom_it_was_formatted_is_of_4_4(installation: Installation, tmp_path: Path) -> None:
    """Checkouts of Penstock kept no note of it while their broker was Kafka 4.4.0."""
    place = BrokerPlace(tmp_path / "kafka", 1001, 1002)
    command(installation, place)
    place.formatted_by.unlink()
    with pytest.raises(InvalidSettings, match=r"data of Kafka 4\.4\.0.*--data-dir"):
        command(installation, place)
    command(replace(installation, kafka="4.5.0"), place)
