"""`python -m tests.simulation SEED [COUNT]`: play a seed, or as many as wanted from there on."""

from __future__ import annotations

import logging
import sys
import time

from .world import play


def main() -> None:
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    logging.disable(logging.WARNING if count > 1 else logging.NOTSET)
    began = time.monotonic()
    runs = deaths = 0
    for seed in range(first, first + count):
        try:
            counts = play(seed)
        except Exception:
            print(f"seed {seed}: python -m tests.simulation {seed}", file=sys.stderr)
            raise
        runs, deaths = runs + counts.runs, deaths + counts.deaths + counts.zombies
    seconds = time.monotonic() - began
    print(f"{count} seeds, {runs} runs, {deaths} deaths in {seconds:.1f} s: {60 * count / seconds:.0f} seeds a minute")


main()
