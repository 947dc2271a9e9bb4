"""Keys: who may send events, and who may register apps, ask about runs and change them.

A server of mode `cloud` without keys lets nobody in, and says what to set; only a development server, which listens
on its own machine alone, asks nobody. All comparisons take the same time whatever is compared. How a signing key is
shown is `messages.signature`'s.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Protocol

from .errors import InvalidSettings
from .messages.signature import bearer_matches, bearer_token
from .settings import ServerSettings


class KeySettings(Protocol):
    """What of a service's settings says who is let in."""

    @property
    def mode(self) -> str: ...
    @property
    def signing_key(self) -> str: ...
    @property
    def signing_key_fallback(self) -> str: ...


@dataclass(frozen=True, slots=True)
class EventKeys:
    """Keys that may send events; `open` when any will do."""

    keys: tuple[bytes, ...] = ()
    open: bool = False

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> EventKeys:
        """In dev any key will do, because SDKs make one up where none is set."""
        if settings.mode == "dev":
            return cls(open=True)
        return cls(tuple(key.strip().encode() for key in settings.event_keys.split(",") if key.strip()))

    def accept(self, key: str) -> bool:
        return bool(key) and (self.open or _is_one_of(key, self.keys))


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Keys that a bearer may show, plain or hashed; `open` when, without keys, nobody is asked."""

    keys: tuple[str, ...] = ()
    open: bool = False

    @classmethod
    def from_settings(cls, settings: KeySettings) -> SigningKeys:
        """The key and, while keys are changed, its fall-back. In dev, none means that nobody is asked."""
        keys = (settings.signing_key.strip(), settings.signing_key_fallback.strip())
        return cls(tuple(key for key in keys if key), settings.mode == "dev")

    def accept(self, authorization: str | None) -> bool:
        """True when the `Authorization` header shows a key of ours, or there is none to show and nobody is asked."""
        if not self.keys:
            return self.open
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and sum(bearer_matches(token, key) for key in self.keys) > 0

    def shown(self) -> dict[str, str]:
        """The headers by which another process of this installation knows us."""
        return {"authorization": f"Bearer {bearer_token(self.keys[0])}"} if self.keys else {}


def require_keys(settings: KeySettings) -> None:
    """Raise `InvalidSettings` when a cloud server would have to refuse everybody."""
    missing = [] if SigningKeys.from_settings(settings).keys or settings.mode == "dev" else ["PENSTOCK_SIGNING_KEY"]
    if isinstance(settings, ServerSettings) and settings.mode != "dev" and not EventKeys.from_settings(settings).keys:
        missing.append("PENSTOCK_EVENT_KEYS")
    if missing:
        raise InvalidSettings(
            f"a cloud server needs keys: set {' and '.join(missing)} (or PENSTOCK_MODE=dev, to try things out on "
            "this machine)"
        )


def _is_one_of(given: str, known: tuple[bytes, ...]) -> bool:
    shown = given.encode("utf-8", "surrogateescape")
    return sum(hmac.compare_digest(shown, key) for key in known) > 0
