"""What a sync changes: from the table as it is and an app's registration to the records that must be written.

A sync replaces all that was known of the app. A function keeps its identity by app and slug, so it may move to
another URL; its version counts up with every change of its configuration, and when two processes gave one number to
two configurations; only then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ..messages.records import App, Function
from .config import FunctionConfig, comparable
from .registration import Registration
from .table import FunctionTable

MAX_ERROR = 500


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """Records to write, in this order; `modified` tells the SDK whether anything of it was new."""

    records: tuple[Function | App, ...]
    modified: bool


def plan_sync(table: FunctionTable, wanted: Registration, now: int) -> SyncPlan:
    """The records that make the table say what the app registered; none when it says so already.

    Functions are compared one by one even when the app's checksum is the same: another process may have written some
    of its own in between.
    """
    known = table.app(wanted.app)
    changed = [record for config in wanted.functions if (record := _changed(table, config, now)) is not None]
    archived = _archived(table, wanted.app, {config.key for config in wanted.functions}, now)
    modified = not counts(table, wanted) or bool(changed or archived)
    if not modified and known is not None and known.error is None:
        return SyncPlan((), modified=False)
    app = App(wanted.app, wanted.url, wanted.checksum, now, wanted.sdk, wanted.framework)
    return SyncPlan((*changed, *archived, app), modified)


def counts(table: FunctionTable, wanted: Registration) -> bool:
    """Is this registration the app's last one?"""
    known = table.app(wanted.app)
    return known is not None and known.checksum == wanted.checksum and known.url == wanted.url


def plan_removal(table: FunctionTable, url: str, now: int) -> tuple[Function | App, ...]:
    """The records that forget every app served at the URL: an app without URL is no longer there."""
    records: list[Function | App] = []
    for app in table.apps():
        if app.url and same_place(app.url, url):
            records += _archived(table, app.name, set(), now)
            records.append(replace(app, url="", checksum="", synced_at=now, error=None))
    return tuple(records)


def plan_failure(app: App, error: str) -> App | None:
    """The record that says why the app cannot be synced; None when that is known already."""
    error = error[:MAX_ERROR]
    return None if app.error == error else replace(app, error=error)


def same_place(one: str, other: str) -> bool:
    """True when two URLs name the same app, however they name this machine and whatever their query."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ("", url, None, "")
    host = parts.hostname or ""
    host = "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0") else host
    default = 443 if parts.scheme in ("https", "wss") else 80
    return (parts.scheme, host, port or default, parts.path.rstrip("/"))


def _changed(table: FunctionTable, config: FunctionConfig, now: int) -> Function | None:
    record = table.record(config.key)
    same = record is not None and comparable(FunctionConfig.from_json(record.config)) == comparable(config)
    ambiguous = table.ambiguous(config.key)
    if same and record is not None and not record.archived and not ambiguous:
        return None
    version = table.last_version(config.key) + (not same or ambiguous)
    return Function(config.key, config.app, config.slug, config.name, version, config.to_json(), now)


def _archived(table: FunctionTable, app: str, kept: Iterable[str], now: int) -> list[Function]:
    gone = [f.config.key for f in table.functions() if f.config.app == app and f.config.key not in set(kept)]
    records = [record for key in gone if (record := table.record(key)) is not None]
    return [replace(record, archived=True, registered_at=now) for record in records]
