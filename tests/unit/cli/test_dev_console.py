"""What `penstock dev` shows and writes about its services."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from penstock.cli.dev_console import DevConsole
from penstock.cli.ready_file import Running


def _console(ready_file: Path | None = None) -> tuple[DevConsole, io.StringIO]:
    shown = io.StringIO()
    running = Running("127.0.0.1:9092", "http://127.0.0.1:8288")
    return DevConsole(Console(file=shown, width=200), running, ["broker", "ingest"], ready_file), shown


def test_readiness_is_told_once_all_are_ready(tmp_path: Path) -> None:
    """Neither summary nor ready file before the last service is up; then both, with what listens where."""
    file = tmp_path / "ready.json"
    console, shown = _console(file)
    console.started("broker", 11)
    console.started("ingest", 12)
    console.ready("broker", "")
    assert not file.exists()
    assert not console.all_ready.is_set()
    console.ready("ingest", "ingest listens on there")
    assert console.all_ready.is_set()
    assert "http://127.0.0.1:8288" in shown.getvalue()
    assert "ingest             listens on there" in shown.getvalue()
    content = json.loads(file.read_text("utf-8"))
    assert content["pids"] == {"broker": 11, "ingest": 12}
    assert content["ready"] == {"broker": True, "ingest": True}


def test_the_ready_file_follows_restarts(tmp_path: Path) -> None:
    """After a death the file says not ready, then the new process id, then ready again and one restart."""
    file = tmp_path / "ready.json"
    console, _ = _console(file)
    for name, pid in (("broker", 11), ("ingest", 12)):
        console.started(name, pid)
        console.ready(name, "")
    console.died("ingest", -9, [], 0.1)
    assert json.loads(file.read_text("utf-8"))["ready"]["ingest"] is False
    console.started("ingest", 13)
    console.ready("ingest", "again")
    content = json.loads(file.read_text("utf-8"))
    assert (content["pids"]["ingest"], content["restarts"]["ingest"]) == (13, 1)
    assert content["ready"]["ingest"] is True


def test_a_death_is_shown_with_its_last_lines() -> None:
    """How it ended, when it starts again, and what it said last."""
    console, shown = _console()
    console.died("ingest", 1, ["Traceback", "ValueError: no"], 0.5)
    text = shown.getvalue()
    assert "ended with exit code 1; starting it again in 0.5 s" in text
    assert "ValueError: no" in text


def test_a_death_by_signal_is_named_so() -> None:
    """A kill reads as a kill."""
    console, shown = _console()
    console.died("broker", -9, [], 0.1)
    assert "was ended by signal 9" in shown.getvalue()


def test_what_was_never_started_has_no_way_of_ending() -> None:
    """No exit code and no signal: only the reason."""
    console, shown = _console()
    console.died("broker", None, ["data of a later Kafka"], None)
    assert shown.getvalue() == (
        "broker   │ was not started and cannot run like this:\nbroker   │   data of a later Kafka\n"
    )


def test_lines_pass_without_terminal_codes_and_markup() -> None:
    """What a service prints is shown as text: codes and empty lines go, brackets and indents stay."""
    console, shown = _console()
    console.said("ingest", "\x1b[?25h\x1b[31m[bold]plain[/bold]")
    console.said("ingest", "\x1b[?25h\x07")
    console.said("ingest", "  File x")
    assert shown.getvalue() == "ingest   │ [bold]plain[/bold]\ningest   │   File x\n"
