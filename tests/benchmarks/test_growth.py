"""The soak's verdict: what is called growth, and what is not."""

from __future__ import annotations

from benchmarks.growth import Bound, Kind, Series, fell, judge, table


def series(values: list[float], kind: Kind = "level", bound: Bound | None = None) -> Series:
    points = tuple((float(second), value) for second, value in enumerate(values))
    return Series("thing", "MB", kind, bound or Bound(5), points)


def test_a_steady_rise_is_growth_and_the_warm_up_is_not() -> None:
    """Only the second half counts: a service that fills its caches first is flat."""
    assert not judge(series([100 + second for second in range(40)]), 0).flat
    assert judge(series([*range(100, 120), *[120.0] * 20]), 0).flat


def test_what_is_cleared_away_is_judged_by_its_peaks() -> None:
    """A sawtooth of one height is flat wherever it is cut off; one that rises from tooth to tooth is not."""
    tooth = [float(value) for value in range(0, 100, 10)]
    assert judge(series(tooth * 4, "sawtooth"), 0).flat
    assert fell(series(tooth * 4, "sawtooth").points) == 3
    assert not judge(series([value * (1 + number) for number in range(4) for value in tooth], "sawtooth"), 0).flat


def test_what_every_run_leaves_for_a_day_is_allowed_for() -> None:
    """A mark for each run's event may be kept, and nothing beyond it."""
    rising = [float(second) for second in range(40)]
    assert judge(series(rising, bound=Bound(0, a_run=0.02)), 1000).flat
    assert not judge(series(rising, bound=Bound(0, a_run=0.01)), 1000).flat


def test_the_table_names_what_grows_first() -> None:
    """A reader sees the bad news before the rest."""
    flat, grows = judge(series([1.0] * 10), 0), judge(series([float(9 * n) for n in range(10)]), 0)
    lines = table([flat, grows])
    assert "**grows**" in lines[2]
    assert "flat" in lines[3]
