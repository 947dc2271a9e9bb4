"""`python -m tests.simulation SEED [COUNT] [--storm]`: play a seed, or as many as wanted from there on."""

from __future__ import annotations

import logging
import sys
import time

from .world import play


def main() -> None:
    storm = "--storm" in sys.argv
    numbers = [int(given) for given in sys.argv[1:] if given != "--storm"]
    first, count = numbers[0], numbers[1] if len(numbers) > 1 else 1
    logging.disable(logging.WARNING if count > 1 else logging.NOTSET)
    began = time.monotonic()
    runs = deaths = 0
    for seed in range(first, first + count):
        counts = play(seed, storm=storm)
        runs, deaths = runs + counts.runs, deaths + counts.deaths + counts.zombies
    seconds = time.monotonic() - began
    print(f"{count} seeds, {runs} runs, {deaths} deaths in {seconds:.1f} s: {60 * count / seconds:.0f} seeds a minute")


main()
