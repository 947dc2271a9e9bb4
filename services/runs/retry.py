"""When a failed call is made again: the back-off table of the protocol, or a fixed interval for development."""

from __future__ import annotations

import hashlib

#: Delay after attempt 0, 1, 2 …; the last one stays.
BACK_OFF_SECONDS = (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)
#: Spreads the retries of calls that failed together, so that they do not hit a recovering app together.
MAX_JITTER_MS = 30_000


def retry_delay_ms(attempt: int, seed: str, linear_seconds: float | None = None) -> int:
    """Milliseconds between the end of `attempt` (0-based) and the next call.

    The jitter is derived from `seed`, so that whoever folds the same facts again gets the same time. With
    `linear_seconds` every delay is exactly that.
    """
    if linear_seconds is not None:
        return round(linear_seconds * 1000)
    delay = BACK_OFF_SECONDS[min(max(attempt, 0), len(BACK_OFF_SECONDS) - 1)]
    return delay * 1000 + _jitter_ms(seed)


def _jitter_ms(seed: str) -> int:
    digest = hashlib.blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (MAX_JITTER_MS + 1)
