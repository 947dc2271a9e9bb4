"""The table of all functions and apps: the fold of the `functions` topic.

Every service that needs functions keeps one, brought up to date by `kafka.registry`. `offset` says how far it has
read, so that "cause before effect" can be checked by number instead of by waiting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..messages.ids import FunctionKey
from ..messages.records import App, Function
from .config import EventTrigger, FunctionConfig


@dataclass(frozen=True, slots=True)
class Registered:
    """A function that may be triggered and called."""

    version: int
    config: FunctionConfig


class FunctionTable:
    """Functions by key, by event name and by wildcard prefix; apps by name."""

    def __init__(self) -> None:
        self.offset = -1
        """Offset of the last applied record of the functions topic; -1 before the first."""
        self.generation = 0
        """Counts up with every applied change; whoever caches something compiled compares it."""
        self._records: dict[FunctionKey, Function] = {}
        self._functions: dict[FunctionKey, Registered] = {}
        self._apps: dict[str, App] = {}
        self._by_name: dict[str, list[tuple[Registered, EventTrigger]]] = {}
        self._by_prefix: dict[str, list[tuple[Registered, EventTrigger]]] = {}

    def apply(self, record: Function | App, offset: int) -> None:
        """Take the next record of the topic."""
        self.offset = offset
        self.generation += 1
        if isinstance(record, App):
            self._apps[record.name] = record
            return
        self._forget(record.key)
        self._records[record.key] = record
        if not record.archived:
            self._remember(Registered(record.version, FunctionConfig.from_json(record.config)))

    def function(self, key: FunctionKey) -> Registered | None:
        """The function, unless it is unknown or archived."""
        return self._functions.get(key)

    def record(self, key: FunctionKey) -> Function | None:
        """The last record of a function, archived or not."""
        return self._records.get(key)

    def functions(self) -> Iterable[Registered]:
        """All functions that are not archived."""
        return self._functions.values()

    def app(self, name: str) -> App | None:
        return self._apps.get(name)

    def apps(self) -> Iterable[App]:
        return self._apps.values()

    def triggered_by(self, event_name: str) -> list[tuple[Registered, EventTrigger]]:
        """Functions whose trigger names the event, exactly or by wildcard; expressions are not evaluated here."""
        found = list(self._by_name.get(event_name, ()))
        if self._by_prefix:
            for end, letter in enumerate(event_name, 1):
                if letter in "/.":
                    found += self._by_prefix.get(event_name[:end], ())
        return found

    def _remember(self, registered: Registered) -> None:
        self._functions[registered.config.key] = registered
        for trigger in registered.config.triggers:
            if isinstance(trigger, EventTrigger):
                table, name = self._place(trigger)
                table.setdefault(name, []).append((registered, trigger))

    def _forget(self, key: FunctionKey) -> None:
        gone = self._functions.pop(key, None)
        if gone is None:
            return
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
