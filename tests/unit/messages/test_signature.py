"""Signatures, canonical JSON and bearer tokens, held against the Python SDK's own code."""

from __future__ import annotations

import hashlib
import json
import time

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st
from inngest._internal import net, server_lib, transforms

from penstock.messages.signature import (
    FRESHNESS_SECONDS,
    bearer_matches,
    bearer_token,
    canonical,
    sign,
    verify,
)

HEX = "0123456789abcdef0123456789abcdef"
KEY = f"signkey-test-{HEX}"
NOW = 1_790_000_000

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


def test_signature_has_time_and_hmac_over_body_and_time() -> None:
    """The key is used as its characters, without prefix; time first, hexadecimal in lower case."""
    assert sign(KEY, b"{}", NOW) == f"t={NOW}&s=" + sign(HEX, b"{}", NOW).partition("s=")[2]
    assert sign("signkey-prod-abc", b"body", 1) == (
        "t=1&s=19ecf39ac24f3f7d952f057dc5bd15eee5dbd6c328a5981a9bd94ea5b2f7e7b0"
    )


def test_python_sdk_accepts_our_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK verifies a request that was signed here, over canonical bytes."""
    body = canonical(b'{"b": 1.0, "a": "\xc3\xa9", "n": 12345678901234567890}')

    headers = {server_lib.HeaderKey.SIGNATURE.value: sign(KEY, body, int(time.time()))}
    result = net.validate_request_sig(
        body=body, headers=headers, mode=server_lib.ServerKind.CLOUD, signing_key=KEY, signing_key_fallback=None
    )
    assert not isinstance(result, Exception)


def test_signature_is_verified() -> None:
    """The right key, body and time; within five minutes."""
    signature = sign(KEY, b"body", NOW)
    assert verify(KEY, signature, b"body", NOW)
    assert verify(KEY, signature, b"body", NOW + FRESHNESS_SECONDS)
    assert verify(HEX, signature, b"body", NOW - FRESHNESS_SECONDS)


def test_go_signs_without_its_last_newline() -> None:
    """Go's encoder ends a body with a newline that is not signed."""
    assert verify(KEY, sign(KEY, b"body", NOW), b"body\n", NOW)
    assert not verify(KEY, sign(KEY, b"body", NOW), b"body\n\n", NOW)


@pytest.mark.parametrize(
    ("key", "body", "now"),
    [
        ("signkey-test-ff", b"body", NOW),
        (KEY, b"bodx", NOW),
        (KEY, b"body", NOW + FRESHNESS_SECONDS + 1),
        (KEY, b"body", NOW - FRESHNESS_SECONDS - 1),
        ("", b"body", NOW),
    ],
)
def test_wrong_key_body_or_time_is_refused(key: str, body: bytes, now: int) -> None:
    """An old signature cannot be replayed; no key verifies nothing."""
    assert not verify(key, sign(KEY, b"body", NOW), body, now)


def test_empty_key_verifies_nothing_even_if_it_signed() -> None:
    """Whoever forgets to set a key does not accept what anyone could have signed."""
    assert not verify("", sign("", b"body", NOW), b"body", NOW)


@pytest.mark.parametrize("text", ["", "t=1", "s=ab&t=1", "t=x&s=" + "0" * 64, "t=1&s=" + "g" * 64, "t=1&s=" + "0" * 65])
def test_signature_that_is_none_is_refused(text: str) -> None:
    """Broken headers are refused without an error."""
    assert not verify(KEY, text, b"body", 1)


@given(json_values)
@example({"\U00010000": 1, "\uffff": 2})
@example({"a": [1e16, 1e21, -0.0, 1.0, 0.1, 5e-324, 123456789012345.6], "": "\x00\x1f\x7f\u2028"})
@settings(max_examples=300)
def test_canonical_form_is_that_of_rfc8785(value: object) -> None:
    """The quick path and the slow one agree with the reference implementation for every value."""
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert canonical(text.encode()) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(json_values)
def test_canonical_form_is_stable_in_the_sdk(value: object) -> None:
    """Bringing it into canonical form again, as the SDK does, gives the same bytes."""
    text = canonical(json.dumps(value).encode())
    assert canonical(text) == text == transforms.canonicalize(text)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[9007199254740993]", b"[9007199254740992]"),
        (b"[12345678901234567890, -12345678901234567890]", b"[12345678901234567000,-12345678901234567000]"),
        (b'{"n": 1180591620717411303424}', b'{"n":1.1805916207174113e+21}'),
        (b"[9007199254740991]", b"[9007199254740991]"),
        (b"1E2", b"100"),
        (b"-0", b"0"),
    ],
)
def test_integers_beyond_doubles_become_doubles(body: bytes, expected: bytes) -> None:
    """RFC 8785 has no other numbers; the SDK agrees with what is sent."""
    assert canonical(body) == expected == transforms.canonicalize(expected)


@pytest.mark.parametrize("body", [b"", b"{", b"[1e400]", b'["\\ud800"]', b"NaN", b"[" * 3000, b"\xff"])
def test_body_without_canonical_form_stays_as_it_is(body: bytes) -> None:
    """No crash: the app will say that it cannot read it."""
    assert canonical(body) == body


def test_deeply_nested_body_does_not_crash() -> None:
    """Nesting beyond what can be walked gives the body back."""
    deep = b"[" * 900 + b"1.5" + b"]" * 900
    assert canonical(deep) == deep


@given(st.binary(max_size=200))
def test_no_body_crashes(body: bytes) -> None:
    """Any bytes at all."""
    assert isinstance(canonical(body), bytes)


HASHED = hashlib.sha256(bytes.fromhex(HEX)).hexdigest()


@pytest.mark.parametrize("token", [HASHED, HASHED.upper(), f"signkey-test-{HASHED}", HEX, KEY, f" {KEY} "])
def test_key_and_hash_are_accepted_with_and_without_prefix(token: str) -> None:
    """Python sends the hash alone, TypeScript and Go with prefix, Go's checkpoints the plain key."""
    assert bearer_matches(token, KEY)
    assert bearer_matches(token, HEX)


@pytest.mark.parametrize("token", ["", "x", HEX[:-1], HASHED + "0", "signkey-test-", "ä", "\ud800"])
def test_any_other_token_is_refused(token: str) -> None:
    """Also those that no header could carry."""
    assert not bearer_matches(token, KEY)


@pytest.mark.parametrize("key", ["", "signkey-test-"])
def test_empty_key_matches_nothing(key: str) -> None:
    """A fall-back key that is not set lets nobody in: neither the empty token nor the hash of nothing."""
    assert not bearer_matches("", key)
    assert not bearer_matches(hashlib.sha256(b"").hexdigest(), key)


def test_key_that_is_not_hexadecimal_matches_itself_only() -> None:
    """SDKs cannot hash it."""
    assert bearer_matches("my-secret", "my-secret")
    assert not bearer_matches(hashlib.sha256(b"").hexdigest(), "my-secret")
    assert bearer_token("my-secret") == "my-secret"


def test_own_token_is_the_one_that_python_sends() -> None:
    """With the prefix that others keep."""
    assert bearer_token(KEY) == f"signkey-test-{transforms.hash_signing_key(KEY)}"
    assert bearer_matches(bearer_token(KEY), KEY)
