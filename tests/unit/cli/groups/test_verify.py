"""`penstock verify`, before it plays anything, and when a round has failed."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from penstock.cli.commands import app
from penstock.errors import InvalidInput, InvalidSettings
from penstock.kafka import topics
from penstock.verification import verify
from penstock.verification.stuck import Stuck


def test_a_url_of_the_app_needs_a_port() -> None:
    """A free one, whichever, is not what that URL leads to."""
    result = CliRunner().invoke(app, ["verify", "--app-url", "http://apps:9000"])
    assert isinstance(result.exception, InvalidInput)
    assert "--port" in str(result.exception)


def test_other_partition_counts_than_the_topics_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent: half of the runs would never be seen."""
    monkeypatch.setattr(topics, "check_topics", lambda settings: ["topic run-state has 32 partitions, not 4"])
    result = CliRunner().invoke(app, ["verify"])
    assert isinstance(result.exception, InvalidSettings)
    assert "32 partitions" in str(result.exception)


def test_a_failed_round_is_played_again_by_the_command_that_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the seed that failed, not the first, and all that it was played with."""

    async def fails(*given: object) -> None:
        begins = given[-1]
        assert callable(begins)
        begins(9)
        raise Stuck("nothing for 7 s")

    monkeypatch.setattr(topics, "check_topics", lambda settings: [])
    monkeypatch.setattr(verify, "verify", fails)
    options = ["--runs", "5", "--rate", "2.5", "--patience", "7", "--poison", "--port", "9000", "--app-url", "http://a"]
    result = CliRunner().invoke(app, ["verify", "--seed", "8", *options])
    again = (
        "penstock verify --seed 9 --rounds 1 --runs 5 --rate 2.5 --patience 7 --poison --port 9000 --app-url http://a"
    )
    assert str(result.exception).endswith(f"play it again: {again}")
