"""Keys: who is let in."""

from __future__ import annotations

import hashlib

import pytest

from penstock.errors import InvalidSettings
from penstock.keys import EventKeys, SigningKeys, require_keys
from penstock.settings import ExecutorSettings, ServerSettings

REST = "0123456789abcdef"
HASH = hashlib.sha256(bytes.fromhex(REST)).hexdigest()


def test_dev_accepts_any_event_key() -> None:
    """SDKs make up a key in dev; an empty one is still none."""
    keys = EventKeys.from_settings(ServerSettings(mode="dev", event_keys="secret"))
    assert keys.accept("anything")
    assert not keys.accept("")


def test_cloud_accepts_only_its_event_keys() -> None:
    """Every key of the list is good, spaces around it do not matter."""
    keys = EventKeys.from_settings(ServerSettings(mode="cloud", event_keys="one, two,"))
    assert keys.accept("one")
    assert keys.accept("two")
    assert not keys.accept("three")
    assert not keys.accept("ön\udce9")


@pytest.mark.parametrize(
    ("authorization", "accepted"),
    [
        (f"Bearer signkey-test-{REST}", True),
        (f"Bearer {REST}", True),
        (f"Bearer {HASH}", True),
        (f"bearer signkey-prod-{HASH}", True),
        ("Bearer fedcba", True),
        ("Bearer ", False),
        ("Bearer", False),
        (f"Basic {REST}", False),
        (REST, False),
        ("", False),
        (None, False),
        ("Bearer \udce9", False),
    ],
)
def test_signing_keys_are_shown_in_several_ways(authorization: str | None, accepted: bool) -> None:
    """Plain or hashed, with or without prefix, the key or its fall-back."""
    settings = ServerSettings(signing_key=f"signkey-test-{REST}", signing_key_fallback="fedcba")
    assert SigningKeys.from_settings(settings).accept(authorization) is accepted


def test_without_keys_development_is_open_and_a_cloud_server_is_closed() -> None:
    """Local development needs no key; a server that was given none by mistake lets nobody in."""
    assert SigningKeys.from_settings(ServerSettings(mode="dev")).accept(None)
    cloud = ServerSettings(mode="cloud", event_keys=" , ", signing_key="  ")
    assert not SigningKeys.from_settings(cloud).accept(None)
    assert not SigningKeys.from_settings(cloud).accept("Bearer ")
    assert not EventKeys.from_settings(cloud).accept("anything")


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (ServerSettings(mode="cloud"), "PENSTOCK_SIGNING_KEY and PENSTOCK_EVENT_KEYS"),
        (ServerSettings(mode="cloud", signing_key="ab"), "PENSTOCK_EVENT_KEYS"),
        (ServerSettings(mode="cloud", event_keys="e"), "PENSTOCK_SIGNING_KEY"),
        (ExecutorSettings(mode="cloud"), "PENSTOCK_SIGNING_KEY"),
    ],
)
def test_a_cloud_server_does_not_start_without_keys(settings: ServerSettings | ExecutorSettings, missing: str) -> None:
    """It would refuse everybody; the error names what to set."""
    with pytest.raises(InvalidSettings, match=f"set {missing} "):
        require_keys(settings)


@pytest.mark.parametrize(
    "settings",
    [
        ServerSettings(mode="dev"),
        ServerSettings(mode="cloud", signing_key_fallback="ab", event_keys="e"),
        ExecutorSettings(mode="dev"),
        ExecutorSettings(mode="cloud", signing_key="ab"),
    ],
)
def test_enough_keys(settings: ServerSettings | ExecutorSettings) -> None:
    """Development needs none; an executor takes no events."""
    require_keys(settings)


def test_processes_show_the_hash_of_their_key() -> None:
    """The key itself, which signs, does not travel; while keys change, the fall-back is good on the other side."""
    old, new = f"signkey-test-{REST}", "signkey-test-fedcba98"
    asking = SigningKeys.from_settings(ServerSettings(signing_key=old, signing_key_fallback=new))
    asked = SigningKeys.from_settings(ExecutorSettings(signing_key=new, signing_key_fallback=old))
    assert REST not in asking.shown()["authorization"]
    assert asked.accept(asking.shown()["authorization"])
    assert SigningKeys((), open=True).shown() == {}
