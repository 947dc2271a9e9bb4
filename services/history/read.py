"""Every question to the read model, by subject. Methods block: call them off the event loop.

They raise `Unavailable` when the database is away or not made yet, and `InvalidInput` for a filter or cursor that
cannot be used. None writes; each is bounded in rows and in time.
"""

from __future__ import annotations

from sqlalchemy import Engine

from ..settings import HistorySettings
from .change_list import ChangeList
from .database import reader_engine
from .dead_letter_list import DeadLetterList
from .event_list import EventList
from .function_list import AppList, FunctionList
from .paging import Found
from .reading import BUDGET_SECONDS, Reader
from .run_detail import RunDetail
from .run_list import RunList
from .statistics import Statistics
from .wait_list import WaitList

__all__ = ["Found", "HistoryReadModel", "read_model"]


class RunQuestions(RunList, RunDetail):
    """Lists of runs, and one run."""


class HistoryReadModel:
    """Answers from the database; one for a process, from any thread."""

    def __init__(self, engine: Engine, budget_seconds: float = BUDGET_SECONDS) -> None:
        reader = Reader(engine, budget_seconds)
        self.runs = RunQuestions(reader)
        self.events = EventList(reader)
        self.functions = FunctionList(reader)
        self.apps = AppList(reader)
        self.statistics = Statistics(reader)
        self.waits = WaitList(reader)
        self.dead_letters = DeadLetterList(reader)
        self.changes = ChangeList(reader)


def read_model(settings: HistorySettings) -> HistoryReadModel:
    """Over the database of the settings; nothing is opened before the first question."""
    return HistoryReadModel(reader_engine(settings.database_url()))
