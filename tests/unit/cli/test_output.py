"""What is printed."""

from __future__ import annotations

import pytest

from penstock.cli.output import cell, clean, local_time, print_details, print_table


def test_nothing_a_user_wrote_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and control characters become a sign that something was there."""
    assert clean("a\x1b[2Jb\x07\x9b31mc") == "a�[2Jb��31mc"
    print_table(("name",), [["x\x1b]0;title\x07"]], "none")
    print_details([("data", {"k": "\x1b[31m"}), ("none", None)])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "none" not in shown


def test_cells_are_short_lines() -> None:
    """Tabs and line ends would break the table that a program reads."""
    assert cell("a\tb\nc") == "a b c"
    assert len(cell("x" * 500)) == 120
    assert cell({"a": 1}).replace(" ", "") == '{"a":1}'
    assert (cell(None), cell(True)) == ("", "yes")


def test_an_empty_table_says_so_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads the output finds it empty."""
    print_table(("a", "b"), [], "nothing here")
    print_table(("a", "b"), [(1, None)], "nothing here")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("a\tb\n1\t\n", "nothing here\n")


def test_times_are_shown_by_the_clock_on_the_wall() -> None:
    """What is no time is shown as it is."""
    assert len(local_time("2026-08-31T12:00:00Z")) == len("2026-08-31 12:00:00")
    assert (local_time(None), local_time("?")) == ("", "?")
