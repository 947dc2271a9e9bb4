"""Keys: who may send events, and who may register apps and ask about runs.

All comparisons take the same time whatever is compared. How a signing key is shown is `messages.signature`'s.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from ..messages.signature import bearer_matches
from ..settings import ServerSettings


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
    """Keys that a bearer may show, plain or hashed; none means that nobody is asked."""

    keys: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> SigningKeys:
        keys = (settings.signing_key.strip(), settings.signing_key_fallback.strip())
        return cls(tuple(key for key in keys if key))

    def accept(self, authorization: str | None) -> bool:
        """True when the `Authorization` header shows a key of ours, or there is none to show."""
        if not self.keys:
            return True
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and sum(bearer_matches(token, key) for key in self.keys) > 0


def _is_one_of(given: str, known: tuple[bytes, ...]) -> bool:
    shown = given.encode("utf-8", "surrogateescape")
    return sum(hmac.compare_digest(shown, key) for key in known) > 0
