"""Keys: who is let in."""

from __future__ import annotations

import hashlib

import pytest

from penstock.ingest.auth import EventKeys, SigningKeys
from penstock.settings import ServerSettings

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


def test_without_a_signing_key_nobody_is_asked() -> None:
    """Local development needs no key."""
    assert SigningKeys.from_settings(ServerSettings()).accept(None)
