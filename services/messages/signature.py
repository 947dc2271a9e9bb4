"""Signatures and bearer tokens, by which servers and SDKs know each other.

Requests to an app are signed over their RFC 8785 (JCS) form, because SDKs bring a body into that form before they
check it; so what is sent must be exactly `canonical(body)`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any

import orjson
import rfc8785

#: A signature is good for this long, before and after its time.
FRESHNESS_SECONDS = 300

_PREFIX = re.compile(r"signkey-\w+-", re.ASCII)
_SIGNATURE = re.compile(r"t=([0-9]{1,12})&s=([0-9a-f]{64})", re.ASCII)
#: What orjson and RFC 8785 write differently: fractions, exponents, integers that a double does not hold, and the
#: order of keys beyond the basic plane. Text that looks like one of them costs the slow path, never a wrong result.
_DIFFERS = re.compile(rb"(?:^|[:,\[])-?(?:[0-9]+[.eE]|[0-9]{16})|[\xf0-\xf4]")
_MAX_EXACT = 1 << 53


def sign(key: str, body: bytes, unix_seconds: int) -> str:
    """The value of `x-inngest-signature` for a body sent at this time."""
    return f"t={unix_seconds}&s={_mac(key, body, str(unix_seconds))}"


def verify(key: str, signature: str, body: bytes, now_seconds: int) -> bool:
    """True when the signature is over exactly these bytes, made with this key within the last five minutes.

    A request of an SDK that signs canonical bytes is checked with `canonical(body)`. An empty key verifies nothing.
    """
    parts = _SIGNATURE.fullmatch(signature)
    if parts is None or not key or abs(now_seconds - int(parts[1])) > FRESHNESS_SECONDS:
        return False
    bodies = (body, body[:-1]) if body.endswith(b"\n") else (body,)  # Go signs without its trailing newline
    return any(hmac.compare_digest(_mac(key, signed, parts[1]), parts[2]) for signed in bodies)


def canonical(body: bytes) -> bytes:
    """The RFC 8785 form of a JSON body.

    Integers beyond 2^53 become the nearest double, as RFC 8785 has no others. A body that has no such form (it is
    no JSON) is given back as it is: the app will then say what it thinks of it.
    """
    try:
        value = orjson.loads(body)
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return rfc8785.dumps(_within_doubles(value)) if _DIFFERS.search(text) else text
    except (ValueError, TypeError, RecursionError):
        return body


def bearer_matches(token: str, key: str) -> bool:
    """True when `token` (what follows `Bearer `) is the key or its hash, with or without prefix; in constant time.

    An empty key matches nothing: whether a server without a key needs authorization is its caller's to decide.
    """
    given, rest = _without_prefix(token.strip()).encode("utf-8", "replace"), _without_prefix(key)
    if not rest:
        return False
    plain = hmac.compare_digest(given, rest.encode())
    hashed = hmac.compare_digest(given.lower(), (_hash(rest) or rest).encode())
    return plain or hashed


def bearer_token(key: str) -> str:
    """The token by which others know the holder of `key`: its prefix and the hash of the rest.

    A key that is not hexadecimal cannot be hashed (SDKs hash its bytes) and is its own token.
    """
    rest = _without_prefix(key)
    return key[: len(key) - len(rest)] + (_hash(rest) or rest)


def _mac(key: str, body: bytes, seconds: str) -> str:
    mac = hmac.new(_without_prefix(key).encode(), body, hashlib.sha256)
    mac.update(seconds.encode())
    return mac.hexdigest()


def _without_prefix(key: str) -> str:
    return _PREFIX.sub("", key, count=1) if key.startswith("signkey-") else key


def _hash(rest: str) -> str | None:
    try:
        return hashlib.sha256(bytes.fromhex(rest)).hexdigest()
    except ValueError:
        return None


def _within_doubles(value: Any) -> Any:
    """The value with its large integers as doubles."""
    match value:
        case bool():
            return value
        case int() if abs(value) >= _MAX_EXACT:
            return float(value)
        case list():
            return [_within_doubles(item) for item in value]
        case dict():
            return {key: _within_doubles(item) for key, item in value.items()}
        case _:
            return value
