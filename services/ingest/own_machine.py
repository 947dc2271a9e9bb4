"""A development server asks nobody for a key. So what strangers' web pages, open in the developer's browser, send to
it is refused: a page may post anywhere, and with a name of its own that it has resolve to 127.0.0.1, read too.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .answers import error_answer

#: Names that no stranger can have resolve to here; nor can they have names without a dot.
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".test", ".home.arpa", ".svc")
_SAFE = ("same-origin", "same-site", "none")


class OwnMachine:
    """Middleware of a development server. `names` are further names by which it may be called."""

    def __init__(self, app: ASGIApp, names: str = "") -> None:
        self._app = app
        self._names = frozenset(name.strip().lower() for name in names.split(",") if name.strip())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(Headers(scope=scope), scope["method"]) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await error_answer(403, refusal)(scope, receive, send)

    def _refusal(self, headers: Headers, method: str) -> str | None:
        host = headers.get("host", "")
        if host and not self._is_ours(host):
            return (
                f"a development server is not called {host[:100]!r}: use its address, or name it in PENSTOCK_DEV_HOSTS"
            )
        origin = headers.get("origin")
        if origin is not None:
            known = self._is_ours(urlsplit(origin).netloc) if "://" in origin else False
            return None if known else "a development server takes no requests from other sites' pages"
        navigates = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in _SAFE and not navigates:
            return "a development server takes no requests from other sites' pages"
        return None

    def _is_ours(self, place: str) -> bool:
        name = _name(place)
        return bool(name) and (
            "." not in name or name.endswith(_PRIVATE_SUFFIXES) or name in self._names or _is_address(name)
        )


def _name(place: str) -> str:
    """The host of `host:port`, in lower case; empty for what is none."""
    try:
        return (urlsplit(f"//{place}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
