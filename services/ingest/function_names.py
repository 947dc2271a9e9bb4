"""Functions by the names that people and SDKs give them in URLs and bodies; what is not found is answered helpfully."""

from __future__ import annotations

import difflib

from ..functions.registration import function_key
from ..functions.table import FunctionTable
from ..messages.ids import FunctionKey

MAX_NEAR = 3
MAX_SHOWN = 100
#: What stands between an app and its function in a path.
BELOW_APP = "/functions/"
#: How often that is looked for in one path.
MAX_SPLITS = 10


def named(name: str, table: FunctionTable) -> FunctionKey | None:
    """By the id that the SDK registered (`app-fn`), by UUID, or by key (`app/app-fn`)."""
    return table.find(name)


def named_in_app(app: str, name: str, table: FunctionTable) -> FunctionKey | None:
    """A function of this app, by its id with or without the app's before it, or by UUID."""
    for slug in (name, f"{app}-{name}"):
        key = function_key(app, slug)
        if table.function(key) is not None:
            return key
    found = table.find(name)
    registered = table.function(found) if found is not None else None
    return found if registered is not None and registered.config.app == app else None


def named_below(path: str, table: FunctionTable) -> FunctionKey | None:
    """A function by `<app>/functions/<name>`: both may hold slashes, and even those words, as SDKs allow any name."""
    parts = path.split(BELOW_APP)
    for end in range(1, min(len(parts), MAX_SPLITS)):
        found = named_in_app(BELOW_APP.join(parts[:end]), BELOW_APP.join(parts[end:]), table)
        if found is not None:
            return found
    return None


def unknown(name: str, table: FunctionTable, app: str | None = None) -> str:
    """Words for a function that is not there, with those that may have been meant."""
    slugs = sorted({f.config.slug for f in table.functions() if app is None or f.config.app == app})
    near = difflib.get_close_matches(name, slugs, MAX_NEAR, 0.4) or slugs[:MAX_NEAR]
    where = "" if app is None else f" of app {app[:MAX_SHOWN]!r}"
    hint = f"did you mean {' or '.join(near)}?" if near else "none is registered yet; sync the app first"
    return f"could not find function with ID: {name[:MAX_SHOWN]}{where}; {hint}"
