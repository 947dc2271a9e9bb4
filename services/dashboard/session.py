"""Who may see the pages: in the cloud, whoever has shown the password or the signing key; in development, everybody.

A session is a cookie that says until when it lasts, signed. Nothing is kept on the server, so every ingest process
accepts the others' sessions, and a new key ends all of them.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from ..messages.signature import bearer_matches

COOKIE = "penstock_session"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes and checks sessions. `secrets` are what a person may enter; without any, nobody gets in."""

    password: str
    signing_keys: tuple[str, ...]
    open: bool
    lifetime_ms: int

    @property
    def possible(self) -> bool:
        """There is something to enter."""
        return bool(self.password or self.signing_keys)

    def knows(self, entered: str) -> bool:
        """True for the password or a signing key; takes the same time whatever is entered."""
        found = sum(bearer_matches(entered, key) for key in self.signing_keys)
        if self.password:
            found += hmac.compare_digest(entered.encode("utf-8", "surrogateescape"), self.password.encode())
        return found > 0

    def begun(self, now: int) -> str:
        """The cookie of a new session."""
        until = now + self.lifetime_ms
        return f"{until}.{self._mac(until)}"

    def holds(self, cookie: str | None, now: int) -> bool:
        """True when the cookie is one of ours and has not run out."""
        if self.open:
            return True
        until, _, mac = (cookie or "").partition(".")
        if not self.possible or not (until.isascii() and until.isdigit() and len(until) < 16):
            return False
        return hmac.compare_digest(mac.encode("utf-8", "surrogateescape"), self._mac(int(until)).encode()) and (
            int(until) > now
        )

    def _mac(self, until: int) -> str:
        secret = "\0".join((self.password, *self.signing_keys)).encode()
        key = hashlib.blake2b(secret[:4096], digest_size=32, person=b"penstock-session").digest()
        return hmac.new(key, str(until).encode(), hashlib.sha256).hexdigest()
