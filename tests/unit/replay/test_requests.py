"""What people ask for, checked."""

from __future__ import annotations

import json

import pytest

from penstock.errors import InvalidInput
from penstock.replay.requests import (
    ReplayRequest,
    find_function,
    new_replay,
    parse_request,
    parse_resume,
    unknown_function,
)

from .doubles import NOW, function, table


def request(**body: object) -> ReplayRequest:
    return parse_request(json.dumps({"function": "shop/shop-fulfil", **body}).encode())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "function: Field required"),
        (b"[", "the body: Invalid JSON"),
        (b'{"function": "f", "from": "yesterday"}', "from: must be a time such as"),
        (b'{"function": "f", "to": 5}', "to: must be a time of the years"),
        (b'{"function": "f", "rate": 0}', "rate: "),
        (b'{"function": "f", "limit": -1}', "limit: "),
        (b'{"function": "f", "if": "event."}', "if: "),
        (b'{"function": "f", "form": "2026-01-01"}', "form: Extra inputs"),
        (b'{"function": "f", "from": "2026-01-02", "to": "2026-01-01"}', "from: must be before to"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, words: str) -> None:
    """Each mistake names its field; nothing unknown is passed over."""
    with pytest.raises(InvalidInput, match=words.replace("[", r"\[")):
        parse_request(body)


def test_times_are_rfc_3339_or_milliseconds() -> None:
    """A date is its beginning in UTC."""
    assert request(**{"from": "2026-08-31T12:00:00Z"}).from_at == 1_788_177_600_000
    assert request(**{"from": 1_788_177_600_000}).from_at == request(**{"from": "1788177600000"}).from_at
    assert request(**{"from": "2026-08-31"}).from_at == 1_788_134_400_000


def test_equal_requests_are_one_replay() -> None:
    """Asked for at another time or at another rate, it is the same; a count, a limit or force makes another."""
    first = new_replay(request(), function(), 100.0, NOW)
    assert new_replay(request(rate=5), function(), 100.0, NOW + 99).id == first.id
    limited = new_replay(request(limit=10), function(), 100.0, NOW)
    assert (limited.identity, limited.id == first.id) == (first.identity, False)
    counts = {new_replay(request(dry_run=True), function(), 100.0, NOW + ms).id for ms in (0, 1)}
    assert len(counts | {first.id}) == 3
    forced = new_replay(request(force=True), function(), 100.0, NOW)
    assert forced.identity != first.identity


def test_a_function_is_found_by_key_slug_or_its_own_name() -> None:
    """Where only one app has it; of several, the keys are named."""
    one, other = function(), function(key="mail/mail-fulfil")
    known = table(one, other)
    assert find_function("shop/shop-fulfil", known) == one
    assert find_function("mail-fulfil", known) == other
    with pytest.raises(InvalidInput, match="mail/mail-fulfil, shop/shop-fulfil"):
        find_function("fulfil", known)
    assert find_function("nothing", known) is None
    assert "did you mean shop/shop-fulfil" in unknown_function("shop/fulfill", known)


def test_resuming_may_change_the_rate() -> None:
    """The body may be empty; a rate is bounded."""
    assert parse_resume(b"").rate is None
    assert parse_resume(b'{"rate": 5}').rate == 5
    with pytest.raises(InvalidInput, match="rate"):
        parse_resume(b'{"rate": 1e9}')
