"""A run that happened, made to happen again."""

from __future__ import annotations

import orjson
import pytest

from penstock.errors import InvalidInput
from penstock.functions.repeating import PastRun, PastStep, Repetition, repeat
from penstock.messages.ids import FunctionKey

NOW = 1_790_000_000_000
STEPS = tuple(PastStep(f"s{n}", "StepRun", f"step {n}", f'{{"data":{n}}}', n == 1) for n in range(3))
PAST = PastRun("01M3250V000000000000000001", FunctionKey("shop/f"), ('{"name":"a"}',), ("E1",), STEPS)


def test_the_whole_run_begins_with_nothing_remembered() -> None:
    """The same events, no result, and whose rerun it is. It is never taken for a duplicate of the first."""
    start = repeat(Repetition(PAST, "", "k"), NOW, 7)
    assert (start.function, start.events, start.event_ids) == (PAST.function, PAST.events, PAST.event_ids)
    assert (start.rerun_of, start.memory, start.dedupe_key, start.registry_offset) == (PAST.run_id, "", None, 7)


def test_from_a_step_the_results_before_it_are_carried() -> None:
    """In the order in which they ended, failures as failures."""
    remembered = orjson.loads(repeat(Repetition(PAST, "s2", "k"), NOW, 7).memory)
    assert remembered == [
        {"step_id": "s0", "op": "StepRun", "name": "step 0", "output": '{"data":0}', "failed": False},
        {"step_id": "s1", "op": "StepRun", "name": "step 1", "output": '{"data":1}', "failed": True},
    ]
    assert repeat(Repetition(PAST, "s0", "k"), NOW, 7).memory == ""


def test_the_same_key_names_the_same_run() -> None:
    """A request that is sent again, at once or later, starts nothing more; another key starts another run."""
    first = repeat(Repetition(PAST, "", "k"), NOW, 7).run_id
    assert repeat(Repetition(PAST, "", "k"), NOW + 3_600_000, 8).run_id == first
    assert repeat(Repetition(PAST, "", "other"), NOW, 7).run_id != first


def test_a_step_that_the_run_does_not_have() -> None:
    """The error lists those that it has."""
    with pytest.raises(InvalidInput, match=r"no finished step 'x'; it has s0 \(step 0\)"):
        repeat(Repetition(PAST, "x", "k"), NOW, 7)
