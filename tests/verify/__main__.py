"""`python -m tests.verify SEED [--minutes 60]`: a verification with a monkey, on processes and a broker of its own.

The same seed gives the same functions, events and deeds; how they fall together is the machine's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from penstock.verification.verify import Seeds
from tests.stack import Stack

from .playing import play


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--pause", type=float, nargs=2, default=(5.0, 20.0), help="seconds between deeds of the monkey")
    parser.add_argument("--folder", type=Path, help="for data and logs; a temporary one if not given")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="penstock-verify-"))
    say(f"data and logs: {folder}")
    stack = Stack(folder, bootstrap_servers=None, retry_interval=1)
    try:
        stack.wait_ready()
        began = time.monotonic()
        played = play(stack, Seeds(given.seed, minutes=given.minutes), tuple(given.pause), say)
    finally:
        stack.stop()
    say(f"{(time.monotonic() - began) / 60:.1f} minutes, {played.counts}")
    say("the monkey: " + ", ".join(f"{count} × {deed}" for deed, count in sorted(played.deeds.items())))
    for finding in played.findings:
        say(finding)
    sys.exit(1 if played.findings else 0)


def say(text: str) -> None:
    print(text, flush=True)


main()
