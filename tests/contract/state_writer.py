"""A process that applies numbered changes to a RocksDB state until it is killed.

Usage: python -m tests.contract.state_writer FOLDER. Each application n moves one key along and adds another; a line
says how far it got, so that whoever kills it knows what was acknowledged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from penstock.state.rocks import RocksStore
from penstock.state.store import Change

LIVE_KEYS = 50


def changes(number: int) -> Iterable[Change]:
    """What application `number` does: the newest key in, the one before the window out, a counter rewritten."""
    yield b"key/%09d" % number, b"value %d " % number + b"." * 200
    yield b"key/%09d" % (number - LIVE_KEYS), None
    yield b"counter", b"%d" % number
    yield b"\0index", b"%d" % number


def after(number: int) -> dict[bytes, bytes]:
    """The whole state after applications 0..number."""
    state: dict[bytes, bytes] = {}
    for done in range(max(0, number - LIVE_KEYS), number + 1):
        for key, value in changes(done):
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
    return state


def main(folder: Path) -> None:
    state = RocksStore(folder).open(0)
    for number in count(state.changelog_offset() + 1):
        state.apply(changes(number), changelog_offset=number, at=1000 + number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
