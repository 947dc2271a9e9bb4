"""Templates to HTML. Everything a user wrote is escaped, because everything is; only our own markup is let through."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import payloads, times

FOLDER = Path(__file__).parent
ASSETS = FOLDER / "assets"
ASSET_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

#: Shape beside colour: who cannot tell red from green still sees how a run ended.
STATUS_SHAPES = {
    "Running": "run",
    "Completed": "check",
    "Failed": "cross",
    "Cancelled": "bar",
    "Skipped": "skip",
    "Retrying": "retry",
    "Sleeping": "moon",
    "Waiting": "wait",
}


def fingerprint() -> str:
    """Changes with any asset, so that browsers may keep them for good."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(ASSETS.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Renderer:
    """The templates, compiled once. `now` decides what `3 m ago` means."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {
            "ago": partial(ago, now),
            "shapes": STATUS_SHAPES,
            "now": now,
            "asset": f"/assets/{fingerprint()}",
        }
        self._environment.filters |= {
            "duration": times.duration,
            "exact": times.exact,
            "iso": times.iso,
            "payload": payloads.payload,
            "snippet": payloads.snippet,
            "failure": payloads.failure,
            "unwrapped": payloads.unwrapped,
            "count": count,
            "size": size,
        }
        # Macros are at hand in every template, without each importing them.
        for name in ("parts", "plot"):
            self._environment.globals[name] = self._environment.get_template(f"{name}.html").module

    def html(self, template: str, content: Mapping[str, object]) -> str:
        return self._environment.get_template(template).render(content)


def ago(now: Callable[[], int], millis: int | None) -> Markup:
    """A moment: told relatively, exactly in the title, and by the machine's words for the page to keep it fresh."""
    if not millis:
        return Markup('<span class="none">–</span>')
    told = times.relative(millis, now())
    return Markup('<time datetime="{}" title="{}">{}</time>').format(times.iso(millis), times.exact(millis), told)


def count(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}".replace(",", "\u2009")


def size(number: int) -> str:
    """Bytes, in the unit that fits."""
    if number < 1024:
        return f"{number} B"
    return f"{number / 1024:.0f} KB" if number < 1024 * 1024 else f"{number / 1024 / 1024:.1f} MB"
