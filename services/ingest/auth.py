"""Keys: who may send events, and who may register apps and ask about runs.

All comparisons take the same time whatever is compared. A signing key is written `signkey-<env>-<hex>`; SDKs send it
with or without that prefix, plain or as the SHA-256 of the bytes that the hex stands for.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from ..settings import ServerSettings

_PREFIX = re.compile(r"^signkey-\w+?-")


@dataclass(frozen=True, slots=True)
class EventKeys:
    """Keys that may send events; none means any."""

    keys: tuple[bytes, ...] = ()

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> EventKeys:
        """In dev any key will do, because SDKs make one up where none is set."""
        if settings.mode == "dev":
            return cls()
        return cls(tuple(key.strip().encode() for key in settings.event_keys.split(",") if key.strip()))

    def accept(self, key: str) -> bool:
        return bool(key) and (not self.keys or _is_one_of(key, self.keys))


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Tokens that a bearer may show; none means that nobody is asked."""

    tokens: tuple[bytes, ...] = ()

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> SigningKeys:
        keys = (settings.signing_key, settings.signing_key_fallback)
        return cls(tuple(token.encode() for key in keys if key.strip() for token in _tokens(key.strip())))

    def accept(self, authorization: str | None) -> bool:
        """True when the `Authorization` header shows a key of ours, or there is none to show."""
        if not self.tokens:
            return True
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and _is_one_of(_PREFIX.sub("", token.strip()), self.tokens)


def _tokens(key: str) -> list[str]:
    plain = _PREFIX.sub("", key)
    try:
        return [plain, hashlib.sha256(bytes.fromhex(plain)).hexdigest()]
    except ValueError:  # not hex: shown plain only
        return [plain]


def _is_one_of(given: str, known: tuple[bytes, ...]) -> bool:
    shown = given.encode("utf-8", "surrogateescape")
    return sum(hmac.compare_digest(shown, key) for key in known) > 0
