"""Whom an event concerns."""

from __future__ import annotations

import pytest

from penstock.history.plain_text import MAX_KEY_CHARACTERS
from penstock.history.users import UserNames


@pytest.mark.parametrize(
    ("user", "names"),
    [
        ("{}", ()),
        ('{"id": 42}', ("42",)),
        ('{"id":"42","external_id":"crm-7","email":"a@b.c","plan":"pro"}', ("42", "crm-7", "a@b.c")),
        ('{"id":"same","email":"same"}', ("same",)),
        ('{"id":true,"external_id":null,"email":{"x":1}}', ()),
        ('{"id":""}', ()),
        ("[1]", ()),
        ("null", ()),
        ("{broken", ()),
    ],
)
def test_the_names_in_an_events_user(user: str, names: tuple[str, ...]) -> None:
    """Texts and whole numbers of the three keys, each once."""
    assert UserNames().of_payloads(user, "{}") == names


def test_an_installations_own_path() -> None:
    """In data or user, however deep; a missing key is no name."""
    names = UserNames.at("data.customer.id")
    assert names.of_payloads('{"id":1}', '{"customer":{"id":"c-9"}}') == ("1", "c-9")
    assert names.of_payloads("{}", '{"customer":7}') == ()
    assert UserNames.at("user.org").of_payloads('{"org":"acme"}', "{}") == ("acme",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"name":"a","data":{},"user":{},"ts":1}', ()),
        ('{"name":"a","data":{"user":{}},"user":{"id":"u"},"ts":1}', ("u",)),
        ('{"name":"a","data":{"note":"\\"user\\":{}"},"user":{"id":"u"}}', ("u",)),
        ('{"name":"a"}', ()),
        ("{}", ()),
        ("broken", ()),
    ],
)
def test_the_names_in_a_whole_event(text: str, names: tuple[str, ...]) -> None:
    """Data that looks like an empty user does not hide the real one."""
    assert UserNames().of_event(text) == names


def test_a_long_name_is_bounded() -> None:
    """It is part of a key."""
    (name,) = UserNames().of_payloads(f'{{"id":"{"x" * 5000}"}}', "{}")
    assert len(name) <= MAX_KEY_CHARACTERS
