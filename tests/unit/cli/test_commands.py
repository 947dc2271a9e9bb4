"""The command line: what it offers and how it answers mistakes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from penstock import __main__, __version__
from penstock.cli.commands import app
from penstock.errors import TopicMismatch, Unavailable


def test_version_and_help_name_what_there_is() -> None:
    """`--version` prints the version; `--help` lists the commands."""
    runner = CliRunner()
    assert runner.invoke(app, ["--version"]).output == f"penstock {__version__}\n"
    shown = runner.invoke(app, ["--help"]).output
    assert all(command in shown for command in ("dev", "broker", "topics", "replay", "doctor", "pull"))


def test_a_bare_service_name_skips_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service process starts at once; with flags (`--help`) the parser answers."""
    monkeypatch.setattr("sys.argv", ["penstock", "executor"])
    assert __main__._command() is __main__.executor
    monkeypatch.setattr("sys.argv", ["penstock", "executor", "--help"])
    assert __main__._command() is app


@pytest.mark.parametrize(("error", "code"), [(TopicMismatch("other shape"), 2), (Unavailable("no Kafka"), 1)])
def test_errors_become_exit_codes_and_one_line(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback for what the user can do something about: the message, and a code that says whether to retry."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(__main__, "_command", lambda: fail)
    with pytest.raises(SystemExit) as left:
        __main__.main()
    assert left.value.code == code
    assert capsys.readouterr().err == f"penstock: {error}\n"


def test_settings_that_cannot_be_used_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong variable ends the command with exit code 2 and the variable's name."""
    monkeypatch.setenv("PENSTOCK_RUN_PARTITIONS", "0")
    monkeypatch.setattr("sys.argv", ["penstock", "topics", "check"])
    with pytest.raises(SystemExit) as left:
        __main__.main()
    assert left.value.code == 2
    assert "PENSTOCK_RUN_PARTITIONS" in capsys.readouterr().err


def test_a_port_that_is_none_is_a_usage_error() -> None:
    """Flags are checked before anything starts."""
    result = CliRunner().invoke(app, ["dev", "--port", "70000"])
    assert result.exit_code == 2


def test_the_command_line_starts_without_what_only_some_commands_need() -> None:
    """`penstock --help` is quick: no Kafka, no HTTP client, no models and no event loop are loaded for it."""
    code = "import sys, penstock.__main__ as m; m._parser(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"pydantic", "pydantic_settings", "confluent_kafka", "httpx", "sqlalchemy", "asyncio", "starlette", "faust"}
    assert heavy & set(loaded) == set()
