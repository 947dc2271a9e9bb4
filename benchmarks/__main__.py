"""`python -m benchmarks`: measure a server that speaks the SDK protocol.

Without `--server` it starts `penstock dev --ephemeral` and stops it afterwards. With it, another server is measured in
the same way: give its URL, an event key, a port for the app where that server expects one, and the pids to account.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path

import httpx
import orjson
from rich.console import Console

from . import machine
from .phases import Bench, Sizes, all_phases
from .report import markdown, table
from .results import Phase, Report
from .stack import Stack, StackFailed, paused, penstock_dev

REGISTER_SECONDS = 30.0
#: The last one is only made when asked for: a sampler at every service slows them down.
PHASES = (
    "accept-batches",
    "accept-single",
    "saturate-one",
    "saturate-three",
    "low-one",
    "low-three",
    "resume",
    "soak",
    "idle",
    "profile",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all went well (targets may be missed), 1 when runs or events were lost or nothing could start."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        phases = _measure(options, console)
    except (StackFailed, RegistrationFailed) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        return 1
    command = shlex.join(["python", "-m", "benchmarks", *(sys.argv[1:] if arguments is None else arguments)])
    report = Report(command, machine.describe(options.server or "penstock dev --ephemeral"), tuple(phases))
    console.print(table(report.phases))
    _write(report, options.report, options.json)
    return 1 if report.problems() else 0


class RegistrationFailed(Exception):
    """The server did not take the app's functions."""


def _measure(options: argparse.Namespace, console: Console) -> list[Phase]:
    with ExitStack() as things:
        folder = Path(things.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-")))
        log = options.log or folder / "dev.log"
        stack = _server(options) or things.enter_context(penstock_dev(folder, log))
        app = things.enter_context(_app(options.app_port, stack.url))
        url = _register(app)
        bench = Bench(stack, url, app.pid, _sizes(options), folder)
        console.print(f"{stack.url} has taken the app at {url}; warming up", highlight=False)
        bench.warm_up()
        things.enter_context(paused(stack.pids(), options.pause))
        return [_run(console, name, phase) for name, phase in all_phases(bench) if name in options.phases]


def _run(console: Console, name: str, phase: object) -> Phase:
    assert callable(phase)
    with console.status(f"{name} …"):
        began = time.monotonic()
        found = phase()
    assert isinstance(found, Phase)
    console.print(f"{name} took {time.monotonic() - began:.1f} s", *found.problems, highlight=False)
    return found


def _server(options: argparse.Namespace) -> Stack | None:
    if options.server is None:
        return None
    return Stack(options.server.rstrip("/"), options.event_key, lambda: options.pids)


@contextmanager
def _app(port: int, server: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.app", "--port", str(port), "--server", server]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _register(app: subprocess.Popen[str]) -> str:
    """Wait for the app and have it register, as `curl -X PUT` would; its URL."""
    assert app.stdout is not None
    url = app.stdout.readline().strip()
    if not url:
        raise RegistrationFailed("the benchmark's app did not start: is --app-port free?")
    answered = httpx.put(url, json={"url": url}, timeout=REGISTER_SECONDS)
    if answered.status_code != 200:
        raise RegistrationFailed(f"the server refused the app's functions: {answered.status_code} {answered.text}")
    return url


def _write(report: Report, page: Path | None, data: Path | None) -> None:
    if page is not None:
        page.write_text(markdown(report), "utf-8")
    if data is not None:
        data.write_bytes(orjson.dumps(report.to_plain(), option=orjson.OPT_INDENT_2))


def _sizes(options: argparse.Namespace) -> Sizes:
    given = {field.name: getattr(options, field.name) for field in fields(Sizes)}
    return replace(Sizes(), **{name: value for name, value in given.items() if value is not None})


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--server", help="URL of a running server; without it, one is started")
    parser.add_argument("--event-key", default="bench", help="key in POST /e/KEY")
    parser.add_argument(
        "--pause", default="", help="stop this service's process while measuring (history): what does it cost?"
    )
    parser.add_argument("--app-port", type=int, default=0, help="where the app listens; 0 takes a free port")
    parser.add_argument(
        "--pids",
        type=_pids,
        default={},
        help="name=pid,… of the server's processes; name the broker 'broker'",
    )
    parser.add_argument("--phases", type=_phases, default=PHASES[:-1], help=f"some of {','.join(PHASES)}")
    parser.add_argument("--report", type=Path, help="write a Markdown page here")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--log", type=Path, help="keep what the started server says here")
    for size in fields(Sizes):
        kind = float if isinstance(size.default, float) else int
        parser.add_argument(f"--{size.name.replace('_', '-')}", type=kind, help=f"default {size.default}")
    return parser.parse_args(arguments)


def _pids(text: str) -> dict[str, int]:
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return {name: int(pid) for name, _, pid in pairs}


def _phases(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(PHASES):
        raise argparse.ArgumentTypeError(f"no such phase: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
