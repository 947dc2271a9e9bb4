"""The benchmark's arithmetic."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from benchmarks.profile import summarise
from benchmarks.timings import accepted_per_second, percentile, spread, timeline
from benchmarks.trace import FINAL, Call, Rows, Sent, read_calls, read_sent

MS = 1_000_000


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 50), (90, 90), (99, 99), (100, 100)])
def test_percentiles_of_a_hundred_values_are_those_values(percent: float, expected: float) -> None:
    """Nearest rank: the smallest value with that share at or below it."""
    assert percentile([float(n) for n in range(1, 101)], percent) == expected


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(0.1, 100))
def test_a_percentile_has_its_share_at_or_below(values: list[float], percent: float) -> None:
    """The definition, for any values; and no smaller value has it."""
    found = percentile(sorted(values), percent)
    needed = len(values) * percent / 100
    assert sum(value <= found for value in values) >= needed - 1e-9
    assert sum(value < found for value in values) < needed + 1e-9


def test_nothing_measured_is_no_number() -> None:
    """No percentile is made up where there is no value."""
    assert spread([]) is None
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def sent(event: int, scheduled_ms: int, status: int = 200, answered_ms: int = 0) -> Sent:
    return Sent(event, scheduled_ms * MS, (scheduled_ms + 1) * MS, answered_ms * MS, status)


def call(event: int, step: int, received_ms: int, answered_ms: int) -> Call:
    return Call(event, step, received_ms * MS, answered_ms * MS)


class TestTimeline:
    def test_a_run_of_two_steps(self) -> None:
        """From due to first call, from each answer to the next call, from due to the last answer."""
        found = timeline([sent(7, 100)], [call(7, 0, 110, 112), call(7, 1, 120, 121), call(7, FINAL, 151, 152)])
        first, between, whole = found.first_calls(), found.between_steps(), found.whole_runs()
        assert first is not None
        assert between is not None
        assert whole is not None
        assert (first.p50, first.count) == (10, 1)
        assert (between.p50, between.max, between.count) == (8, 30, 2)
        assert (whole.p50, found.ended) == (52, 1)

    def test_repeated_calls_are_counted_and_the_first_one_measured(self) -> None:
        """At least once: a step that is called again neither shortens nor lengthens what is measured."""
        calls = [call(1, 0, 50, 51), call(1, 0, 10, 11), call(1, FINAL, 20, 21), call(1, FINAL, 60, 61)]
        found = timeline([sent(1, 0)], calls)
        between, whole = found.between_steps(), found.whole_runs()
        assert found.repeated_calls == 2
        assert between is not None
        assert whole is not None
        assert (between.p50, whole.p50) == (9, 21)

    def test_a_run_that_did_not_end_is_not_an_end(self) -> None:
        """Its first call counts, its missing end does not."""
        found = timeline([sent(1, 0), sent(2, 0)], [call(1, 0, 10, 11), call(1, FINAL, 20, 21), call(2, 0, 10, 11)])
        assert (len(found.runs), found.ended) == (2, 1)

    def test_calls_of_other_phases_are_told_apart(self) -> None:
        """A late call for an earlier phase's event is no run of this one."""
        found = timeline([sent(1, 0)], [call(99, 0, 1, 2), call(1, FINAL, 3, 4)])
        assert (found.unknown_calls, found.ended) == (1, 1)

    def test_runs_per_second_span_first_send_to_last_end(self) -> None:
        """Four runs in two seconds are two a second."""
        calls = [call(event, FINAL, 500 * event, 500 * event) for event in (1, 2, 3, 4)]
        assert timeline([sent(event, 0) for event in (1, 2, 3, 4)], calls).runs_per_second() == 2

    def test_no_run_ended(self) -> None:
        """Zero, not a division by nothing."""
        assert timeline([sent(1, 0)], []).runs_per_second() == 0


def test_only_accepted_events_count_as_accepted() -> None:
    """A refusal is quick; it must not look like throughput."""
    events = [sent(1, 0, 200, 501), sent(2, 0, 200, 501), sent(3, 0, 429, 2)]
    assert accepted_per_second(events) == 4
    assert accepted_per_second([sent(1, 0, 503, 10)]) == 0


def test_rows_are_read_as_they_were_written() -> None:
    """What app and generator note is what the benchmark sees, once."""
    calls, events = Rows(4), Rows(5)
    calls.add(1, FINAL, 2**62, 5)
    calls.add(2, 0, 3, 4)
    events.add(1, 2, 3, 4, 200)
    assert read_calls(calls.take()) == [Call(1, FINAL, 2**62, 5), Call(2, 0, 3, 4)]
    assert read_sent(events.take()) == [Sent(1, 2, 3, 4, 200)]
    assert read_calls(calls.take()) == []


def test_samples_are_summed_by_function() -> None:
    """Collapsed stacks: the innermost function pays, its callers are credited once, lines do not matter."""
    lines = [
        "main (/x/services/a.py:3);apply (/x/services/state/rocks.py:98) 30",
        "main (/x/services/a.py:4);apply (/x/services/state/rocks.py:91);apply (/x/services/state/rocks.py:92) 30",
        "main (/x/services/a.py:3);dumps (/v/site-packages/orjson/it.py:1) 40",
    ]
    apply, dumps = summarise(lines, 5)
    assert (apply.function, apply.alone, apply.with_calls) == ("apply (services/state/rocks.py)", 0.6, 0.6)
    assert (dumps.function, dumps.alone) == ("dumps (orjson/it.py)", 0.4)
