"""The back-off table, its jitter and the linear interval."""

from __future__ import annotations

import pytest

from penstock.runs.retry import MAX_JITTER_MS, retry_delay_ms

TABLE = [15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200, 7200, 7200]


@pytest.mark.parametrize(("attempt", "seconds"), list(enumerate(TABLE)))
def test_delay_follows_the_table_plus_at_most_half_a_minute(attempt: int, seconds: int) -> None:
    """15 s after the first attempt, two hours after the tenth and all later ones."""
    delays = [retry_delay_ms(attempt, f"run/{seed}") for seed in range(200)]
    assert min(delays) >= seconds * 1000
    assert max(delays) <= seconds * 1000 + MAX_JITTER_MS


def test_jitter_comes_from_the_seed_alone() -> None:
    """Equal seeds wait equally, on every machine; different ones spread."""
    assert retry_delay_ms(0, "run/job/0") == 44_681
    assert retry_delay_ms(3, "run/job/0") - 120_000 == retry_delay_ms(0, "run/job/0") - 15_000
    assert len({retry_delay_ms(0, f"run/{seed}") for seed in range(100)}) > 90


@pytest.mark.parametrize(("seconds", "delay"), [(0.0, 0), (0.25, 250), (3, 3000)])
def test_linear_interval_is_exact(seconds: float, delay: int) -> None:
    """`--retry-interval` waits exactly that, whatever the attempt."""
    assert [retry_delay_ms(attempt, "any", seconds) for attempt in (0, 5, 50)] == [delay] * 3
