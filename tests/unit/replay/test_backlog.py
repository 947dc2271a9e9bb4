"""Do the executors keep up?"""

from __future__ import annotations

from penstock.replay.backlog import untaken


def test_only_commands_that_were_there_count() -> None:
    """Old commands that are not taken are summed; a partition of which nothing is known counts nothing."""
    assert untaken({0: 100, 1: 50}, {0: 40, 1: 60}) == 60
    assert untaken({0: 100, 1: 50}, {0: -1001}) == 0
