"""Asks an app that the server does not know yet to register itself with the server that it is set up for."""

from __future__ import annotations

import time

import httpx
import orjson

from ..messages.signature import canonical, sign
from ..settings import ClientSettings

SYNC_SECONDS = 30.0


def ask_app(app_url: str, key: str) -> str | None:
    """PUT to the app, as SDKs expect it; None when it has registered, else what went wrong."""
    body = canonical(orjson.dumps({"url": app_url}))
    headers = {"content-type": "application/json"}
    signing_key = key or ClientSettings().signing_key
    if signing_key:
        headers["x-inngest-signature"] = sign(signing_key, body, int(time.time()))
    try:
        answer = httpx.put(app_url, content=body, headers=headers, timeout=SYNC_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"nothing answers there ({type(error).__name__}: {error}); is the app running?"
    return None if answer.is_success else f"it answered {answer.status_code}: {answer.text[:200]}"
