"""The past as others take it up again: a run that is to be repeated, a dead letter that is to be sent again."""

from __future__ import annotations

import base64

import orjson

from ..errors import InvalidInput
from ..functions.repeating import PastRun, PastStep
from ..functions.triggering import event_json
from ..messages.ids import FunctionKey
from ..messages.records import DeadLetter, Event
from .paging import Found
from .read import HistoryReadModel


class Past:
    """Answers from the read model. Blocks: call it off the event loop."""

    def __init__(self, model: HistoryReadModel) -> None:
        self._model = model

    def run(self, run_id: str) -> PastRun | None:
        """The run with all that a repetition needs; `InvalidInput` when history does not hold its events any more."""
        row = self._model.runs.one(run_id)
        if row is None:
            return None
        events = self._model.runs.events(run_id)
        if not events or len(events) < len(self._model.runs.event_ids(run_id)):
            raise InvalidInput(f"run {run_id} cannot be repeated: history does not hold its events (any more)")
        return PastRun(
            run_id=run_id,
            function=FunctionKey(row.function),
            events=tuple(event_json(event_of(event)) for event in events),
            event_ids=tuple(event.internal_id for event in events),
            steps=tuple(PastStep(s.step_id, s.op, s.name, s.output, s.failed) for s in self._model.runs.steps(run_id)),
        )

    def dead_letter(self, letter_id: str) -> DeadLetter | None:
        """The record as it lay."""
        row = self._model.dead_letters.one(letter_id)
        if row is None:
            return None
        headers = {name: base64.b64decode(value) for name, value in orjson.loads(row.headers or "{}").items()}
        return DeadLetter(
            topic=row.topic,
            partition=row.partition,
            offset=row.offset,
            timestamp=row.timestamp,
            key=row.key,
            value=row.value,
            reason=row.reason,
            seen_at=row.seen_at,
            headers=headers,
        )


def event_of(row: Found) -> Event:
    """A row of an event as the event that it was."""
    return Event(
        name=row.name,
        data=row.data,
        id=row.id,
        ts=row.ts,
        user=row.user,
        v=row.v,
        internal_id=row.internal_id,
        received_at=row.received_at,
        source=row.source,
    )
