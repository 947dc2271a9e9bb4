"""The table of all functions and apps, and of what cancels their runs in bulk: the fold of the `functions` topic.

Every service that needs functions keeps one, brought up to date by `kafka.registry`. `offset` says how far it has
read, so that "cause before effect" can be checked by number instead of by waiting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from ..errors import InvalidRegistration
from ..messages.ids import FunctionKey, function_uuid
from ..messages.keys import cancellation_of
from ..messages.records import App, Cancellation, Function
from .config import EventTrigger, FunctionConfig, comparable


@dataclass(frozen=True, slots=True)
class Registered:
    """A function that may be triggered and called."""

    version: int
    config: FunctionConfig


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A tombstone of the topic: what lay under this key counts no longer."""

    key: str


TableRecord = Function | App | Cancellation | Forgotten


class FunctionTable:
    """Functions by key, by event name and by wildcard prefix; apps by name; cancellations by id."""

    def __init__(self) -> None:
        self.offset = -1
        """Offset of the last applied record of the functions topic; -1 before the first."""
        self.generation = 0
        """Counts up with every applied change; whoever caches something compiled compares it."""
        self._records: dict[FunctionKey, Function] = {}
        self._functions: dict[FunctionKey, Registered] = {}
        self._versions: dict[FunctionKey, int] = {}
        self._ambiguous: set[FunctionKey] = set()
        self._by_id: dict[str, FunctionKey] = {}
        self._apps: dict[str, App] = {}
        self._cancellations: dict[str, Cancellation] = {}
        self._by_name: dict[str, list[tuple[Registered, EventTrigger]]] = {}
        self._by_prefix: dict[str, list[tuple[Registered, EventTrigger]]] = {}

    def apply(self, record: TableRecord, offset: int) -> None:
        """Take the next record of the topic; `InvalidRegistration` when it cannot be used, and nothing has changed."""
        self.offset = offset
        self.generation += 1
        match record:
            case App():
                self._apps[record.name] = record
            case Cancellation():
                self._cancellations[record.id] = record
            case Forgotten():
                self._cancellations.pop(cancellation_of(record.key), None)
            case Function():
                self._take(record)
            case _:
                assert_never(record)

    def function(self, key: FunctionKey) -> Registered | None:
        """The function, unless it is unknown or archived."""
        return self._functions.get(key)

    def find(self, name: str) -> FunctionKey | None:
        """The function that an invocation names: by its id within SDKs (`app-fn`), by UUID, or by key."""
        return self._by_id.get(name)

    def record(self, key: FunctionKey) -> Function | None:
        """The last record of a function, archived or not."""
        return self._records.get(key)

    def last_version(self, key: FunctionKey) -> int:
        """The highest version that any record of the function had; 0 before the first."""
        return self._versions.get(key, 0)

    def ambiguous(self, key: FunctionKey) -> bool:
        """True when the function's version is not its alone: two processes registered it at once, each another one."""
        return key in self._ambiguous

    def functions(self) -> Iterable[Registered]:
        """All functions that are not archived."""
        return self._functions.values()

    def app(self, name: str) -> App | None:
        return self._apps.get(name)

    def apps(self) -> Iterable[App]:
        return self._apps.values()

    def cancellations(self, function: FunctionKey | None = None) -> tuple[Cancellation, ...]:
        """The bulk cancellations of a function, or all of them; oldest first.

        They stay until they are deleted or long past (`ingest.cancellations`): an owner of runs applies each once.
        """
        found = [each for each in self._cancellations.values() if function in (None, each.function)]
        return tuple(sorted(found, key=lambda cancellation: cancellation.id))

    def triggered_by(self, event_name: str) -> list[tuple[Registered, EventTrigger]]:
        """Functions whose trigger names the event, exactly or by wildcard; expressions are not evaluated here."""
        found = list(self._by_name.get(event_name, ()))
        if self._by_prefix:
            for end, letter in enumerate(event_name, 1):
                if letter in "/.":
                    found += self._by_prefix.get(event_name[:end], ())
        return found

    def _take(self, record: Function) -> None:
        # Read before anything is forgotten: a record that cannot be used leaves what was known.
        # Also of an archived one: runs of it that are under way go on, and the next registration is compared with it.
        config = FunctionConfig.from_json(record.config)
        if config.key != record.key:
            raise InvalidRegistration(f"the record of {record.key[:200]!r} holds another function")
        self._note_version(record, config)
        self._forget(record.key)
        self._records[record.key] = record
        if not record.archived:
            self._remember(Registered(record.version, config))

    def _note_version(self, record: Function, config: FunctionConfig) -> None:
        last, before = self.last_version(record.key), self._records.get(record.key)
        self._versions[record.key] = max(last, record.version)
        if record.version > last:
            self._ambiguous.discard(record.key)
        elif record.version < last or (before is not None and _differs(before, record, config)):
            self._ambiguous.add(record.key)

    def _remember(self, registered: Registered) -> None:
        key = registered.config.key
        self._functions[key] = registered
        for name in _names(registered):
            self._by_id[name] = key
        for trigger in registered.config.triggers:
            if isinstance(trigger, EventTrigger):
                table, name = self._place(trigger)
                table.setdefault(name, []).append((registered, trigger))

    def _forget(self, key: FunctionKey) -> None:
        gone = self._functions.pop(key, None)
        if gone is None:
            return
        for name in _names(gone):
            if self._by_id.get(name) == key:
                del self._by_id[name]
        for trigger in gone.config.triggers:
            if isinstance(trigger, EventTrigger):
                table, name = self._place(trigger)
                table[name] = [entry for entry in table.get(name, ()) if entry[0].config.key != key]
                if not table[name]:
                    del table[name]

    def _place(self, trigger: EventTrigger) -> tuple[dict[str, list[tuple[Registered, EventTrigger]]], str]:
        if trigger.event.endswith(("/*", ".*")):
            return self._by_prefix, trigger.event[:-1]
        return self._by_name, trigger.event


def _differs(before: Function, record: Function, config: FunctionConfig) -> bool:
    if before.config == record.config:
        return False
    try:
        return comparable(FunctionConfig.from_json(before.config)) != comparable(config)
    except ValueError:  # nested deeper than a registration may be: nobody has compared it
        return True


def _names(registered: Registered) -> tuple[str, str, str]:
    config = registered.config
    return config.slug, str(function_uuid(config.key)), config.key
