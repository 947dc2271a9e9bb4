"""Registration bodies for tests, as an SDK sends them."""

from __future__ import annotations

import json

from penstock.errors import InvalidExpression

URL = "http://127.0.0.1:8000/api/inngest"


def function(slug: str = "shop-import", **changes: object) -> dict[str, object]:
    """One function, with keys replaced or added."""
    step = {
        "id": "step",
        "name": "step",
        "runtime": {"type": "http", "url": f"{URL}?fnId={slug}&stepId=step"},
        "retries": {"attempts": 2},
    }
    whole: dict[str, object] = {
        "id": slug,
        "name": "Import",
        "triggers": [{"event": "shop/a"}],
        "steps": {"step": step},
    }
    return whole | changes


def body(*functions: object, **changes: object) -> bytes:
    """The body of `/fn/register` as the Python SDK spells it."""
    whole: dict[str, object] = {
        "appname": "shop",
        "url": URL,
        "deployType": "ping",
        "framework": "fast_api",
        "sdk": "py:v0.5.0",
        "v": "0.1",
        "functions": list(functions),
    }
    return json.dumps(whole | changes).encode()


def compiles(text: str) -> None:
    """Stands for the CEL compiler: everything compiles but what says that it does not."""
    if "broken" in text:
        raise InvalidExpression("broken, as it says")
