"""How soon a dead service comes back."""

from __future__ import annotations

import pytest

from penstock.cli.restarts import RECOVERED_SECONDS, deaths_in_a_row, restart_delay


def test_the_first_restart_is_prompt_and_later_ones_wait_longer() -> None:
    """Delays never shrink, start below a quarter of a second and stay bounded."""
    delays = [restart_delay(deaths) for deaths in range(1, 50)]
    assert delays[0] < 0.25
    assert delays == sorted(delays)
    assert delays[-1] == 5.0


@pytest.mark.parametrize(
    ("before", "alive_seconds", "after"),
    [(0, 0.1, 1), (1, 0.1, 2), (7, RECOVERED_SECONDS - 0.1, 8), (7, RECOVERED_SECONDS, 1)],
)
def test_a_long_life_starts_the_count_anew(before: int, alive_seconds: float, after: int) -> None:
    """Deaths in quick succession add up; one after a long life is the first again."""
    assert deaths_in_a_row(before, alive_seconds) == after
