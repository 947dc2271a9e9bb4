"""How soon a service that died is started again."""

from __future__ import annotations

#: The first restart is prompt (a kill, a crash by chance); one that keeps dying must not burn the machine.
_DELAYS_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
#: Alive for this long counts as recovered.
RECOVERED_SECONDS = 30.0


def restart_delay(deaths_in_a_row: int) -> float:
    """Seconds to wait after the given death, the first being 1."""
    return _DELAYS_SECONDS[min(deaths_in_a_row, len(_DELAYS_SECONDS)) - 1]


def deaths_in_a_row(before: int, alive_seconds: float) -> int:
    """The count after one more death."""
    return 1 if alive_seconds >= RECOVERED_SECONDS else before + 1
