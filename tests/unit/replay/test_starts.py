"""The runs that a replay starts."""

from __future__ import annotations

from penstock.replay.starts import start

from .doubles import DAY, NOW, event, replay


def test_equal_replays_name_equal_runs() -> None:
    """The id follows from function, identity and event: whoever sends the command again sends the same."""
    first = start(replay(), event(n=1), 3, NOW)
    assert first == start(replay(), event(n=1), 3, NOW)
    assert first.run_id == start(replay(rate=1.0, limit=5), event(n=1), 3, NOW + 5).run_id
    assert first.run_id != start(replay(identity="cd" * 16), event(n=1), 3, NOW).run_id
    assert first.run_id != start(replay(), event(n=2), 3, NOW).run_id


def test_records_of_one_event_id_are_one_run_within_a_day() -> None:
    """What a sender repeated was one run when it was live, and is one in a replay; the next day's is another."""
    first = start(replay(), event(n=1, id="daily"), 3, NOW)
    repeated = start(replay(), event(n=2, id="daily"), 3, NOW)
    tomorrow = start(replay(), event(n=3, id="daily", received_at=NOW + DAY), 3, NOW)
    assert first.run_id == repeated.run_id != tomorrow.run_id


def test_the_run_is_of_now_and_the_event_of_then() -> None:
    """Queue times, timeouts and look-back begin with the replay; the event is passed on as it was."""
    command = start(replay(), event(n=1, ts=NOW - DAY, received_at=NOW - DAY), 3, NOW)
    assert (command.received_at, command.start_at, command.replay) == (NOW, 0, replay().id)
    assert f'"ts":{NOW - DAY}' in command.events[0]
    assert start(replay(), event(ts=NOW + DAY), 3, NOW).start_at == NOW + DAY
