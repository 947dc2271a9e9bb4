"""Progress, where there is no terminal."""

from __future__ import annotations

import pytest

from penstock.cli import progress as module
from penstock.cli.progress import line, progress


def test_a_line_has_share_rate_and_rest() -> None:
    """As a bar would show them."""
    assert line("replaying", 50, 200, 10.0, "40 match") == "replaying: 50 of 200 (25 %), 5/s, 30 s left, 40 match"
    assert line("sending", 0, 0, 0.0) == "sending: 0 of 0 (-), 0/s"


def test_without_a_terminal_lines_are_written_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard error, so that the result can be piped; quiet writes nothing."""
    monkeypatch.setattr(module, "LINE_EVERY_SECONDS", 0.0)
    with progress("replaying") as bar:
        bar.at(1, 2)
    with progress("replaying", quiet=True) as bar:
        bar.at(1, 2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("replaying: 1 of 2 (50 %)") == 1
