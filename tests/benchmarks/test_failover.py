"""What the fail-over benchmark makes of records, and that its changelog is one that an executor would write."""

from __future__ import annotations

from benchmarks.failover import _changelog_of, markdown
from benchmarks.outcome import Gap, Outcome, gaps_of
from benchmarks.timings import Run
from benchmarks.trace import FINAL
from penstock.executor.runstore import RunStore, fold_changelog
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, run_id
from penstock.state.memory import MemoryStore

S = 1_000_000_000
NOW = 1_700_000_000_000


def test_a_run_waits_from_a_steps_end_to_the_next_call() -> None:
    """The first wait begins when the event is due; the last ends with the last call."""
    run = Run(1 * S, {0: 2 * S, 1: 5 * S, FINAL: 9 * S}, {0: 3 * S, 1: 6 * S, FINAL: 10 * S})
    assert gaps_of(run) == [Gap(1 * S, 2 * S), Gap(3 * S, 5 * S), Gap(6 * S, 9 * S)]
    assert [gap.after(4 * S) for gap in gaps_of(run)][1:] == [1 * S, 3 * S]


def test_waits_belong_to_the_disturbance_that_they_touch() -> None:
    """One that begins in the calm before a kill and ends behind it is the kill's."""
    calm, across, late = Gap(0, 1 * S), Gap(9 * S, 17 * S), Gap(25 * S, 26 * S)
    moments = [("before", 0, 10 * S), ("killed", 10 * S, 20 * S), ("after", 20 * S, 30 * S)]
    outcome = Outcome("kill", "kill", runs=3, gaps=[calm, across, late], moments=moments)
    assert [outcome.gaps_in(place) for place in range(3)] == [[calm], [across], [late]]
    page = markdown([outcome], [], [], "a command")
    assert "| before | 10.0 | 1000 | 1000 | 1000 | 1.00 |" in page
    assert "| killed | 10.0 | 8000 | 8000 | 8000 | 7.00 |" in page
    assert "1 calls came more than a second late" in page


def test_the_changelog_to_restore_is_one_of_real_runs() -> None:
    """Folded, it gives a run that has ended, or one that sleeps after its steps."""
    run = run_id(FunctionKey("penstock-bench/model"), "model", NOW)
    for ends in (True, False):
        pairs, state = _changelog_of(run, NOW, ends), MemoryStore().open(0)
        state.apply(fold_changelog(state, Codec(), pairs), len(pairs), NOW)
        found = RunStore(state, Codec(), 1).load(run)
        assert found is not None
        assert (found.ended is not None) is ends
        assert len(found.steps) == 3
        assert len(pairs) > 10
