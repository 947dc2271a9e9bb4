"""Who may see the pages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.dashboard.session import Sessions

NOW = 1_790_000_000_000
CLOUD = Sessions(password="correct horse", signing_keys=("signkey-prod-00ff",), open=False, lifetime_ms=1000)


@pytest.mark.parametrize("secret", ["correct horse", "signkey-prod-00ff"])
def test_password_and_signing_key_let_people_in(secret: str) -> None:
    """Either will do."""
    assert CLOUD.knows(secret)


@pytest.mark.parametrize("secret", ["", "correct", "signkey-prod-00fe", "\udcff"])
def test_anything_else_does_not(secret: str) -> None:
    """Nor does nothing."""
    assert not CLOUD.knows(secret)


def test_a_session_lasts_until_its_end() -> None:
    """And not a millisecond longer."""
    cookie = CLOUD.begun(NOW)
    assert CLOUD.holds(cookie, NOW + 999)
    assert not CLOUD.holds(cookie, NOW + 1000)


def test_a_session_cannot_be_made_up_or_lengthened() -> None:
    """Its end is signed."""
    until, _, mac = CLOUD.begun(NOW).partition(".")
    for forged in (f"{int(until) + 1}.{mac}", f"{until}.", f"{until}.{mac[:-1]}0x", "1.2.3", "", ".", "\udcff.x"):
        assert not CLOUD.holds(forged, NOW)
    assert not CLOUD.holds(None, NOW)


def test_a_new_password_ends_all_sessions() -> None:
    """They are signed with it."""
    assert not replace(CLOUD, password="another").holds(CLOUD.begun(NOW), NOW)


def test_without_a_secret_nobody_gets_in() -> None:
    """A cloud server that nobody has locked stays shut; a dev server is open."""
    bare = Sessions("", (), open=False, lifetime_ms=1000)
    assert not bare.possible
    assert not bare.knows("")
    assert not bare.holds(bare.begun(NOW), NOW)
    assert replace(bare, open=True).holds(None, NOW)
