"""Golden scripts of the run state machine: commands, `---`, and the trace that they give.

Each file in `runs/` tells one story. After an intended change of the rules, rewrite the traces with
`UPDATE_GOLDEN=1 pytest tests/golden` and read the difference as carefully as code.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from penstock.messages.ids import FunctionKey, JobId, RunId
from penstock.messages.records import JobScheduled, RunEnded, RunProgressed, RunStarted, StartRun, StepFinished
from penstock.runs.advance import advance
from penstock.runs.effects import CallFunction, Effect
from penstock.runs.facts import CallAnswered, CancelRequested, Fact, JobDue, StartRequested
from penstock.runs.replies import parse_reply
from penstock.runs.run import Entry, JobRemoved, Run
from penstock.runs.turn import Rules

SCRIPTS = sorted((Path(__file__).parent / "runs").glob("*.txt"))
RUN = RunId("01J00000000000000000000000")
T0 = 1_700_000_000_000


class Script:
    """Interprets the commands of one script against one run, on a clock that only `wait` moves."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.now = T0
        self.rules = Rules(linear_retry_seconds=10.0)

    def command(self, line: str) -> list[str]:
        verb, _, rest = line.partition(" ")
        match verb:
            case "wait":
                self.now += int(float(rest.removesuffix("s")) * 1000)
                return []
            case "rules":
                self.rules = Rules(**{k: int(v) for k, v in (pair.split("=") for pair in shlex.split(rest))})
                return []
            case "start":
                options = dict(pair.split("=") for pair in shlex.split(rest))
                start_at = T0 + int(options["in"].removesuffix("s")) * 1000 if "in" in options else 0
                command = StartRun(RUN, FunctionKey("app/fn"), ("{}",), ("e",), T0, start_at=start_at)
                version = None if "unknown" in options else 1
                return self.take(StartRequested(command, version, int(options.get("attempts", "5"))))
            case "due":
                return self.take(JobDue(JobId(rest)))
            case "cancel":
                return self.take(CancelRequested(rest))
            case "answer":
                return self.take(self.answer(rest))
        raise ValueError(f"no such command: {line}")

    def answer(self, rest: str) -> CallAnswered:
        """`<job> [attempt=N] <status> [header=value …] <body>`"""
        job_id, rest = rest.split(" ", 1)
        attempt = self.run.jobs[JobId(job_id)].attempt if self.run and JobId(job_id) in self.run.jobs else 0
        if rest.startswith("attempt="):
            word, rest = rest.split(" ", 1)
            attempt = int(word.removeprefix("attempt="))
        status, _, rest = rest.partition(" ")
        headers = {"x-inngest-sdk": "py:v1", "x-inngest-req-version": "2"}
        while "=" in rest.split(" ", 1)[0] and rest[0] not in '[{"':
            word, _, rest = rest.partition(" ")
            name, _, value = word.partition("=")
            headers[name] = value
        return CallAnswered(JobId(job_id), attempt, parse_reply(int(status), headers, rest.encode(), self.now))

    def take(self, fact: Fact) -> list[str]:
        result = advance(self.run, fact, self.now, self.rules)
        self.run = result.run
        return [describe(e, self.now) for e in result.entries] + [f"→ {effect(e, self.now)}" for e in result.effects]


def describe(entry: Entry, now: int) -> str:
    match entry:
        case RunStarted():
            return f"RunStarted {entry.function} version={entry.function_version} attempts={entry.max_attempts}"
        case JobScheduled():
            text = (
                f"JobScheduled {entry.job_id} {entry.kind} step={entry.step_id} due=+{(entry.due_at - now) / 1000:g}s"
            )
            text += f" attempt={entry.attempt}" if entry.attempt else ""
            text += f" mode={entry.mode}" if entry.mode != "wait" else ""
            return text + (f" last_error={entry.last_error}" if entry.last_error else "")
        case JobRemoved():
            return f"JobRemoved {entry.job_id}"
        case StepFinished():
            failed = " failed" if entry.failed else ""
            return f"StepFinished {entry.step_id} #{entry.position} {entry.op} {entry.output}{failed}"
        case RunProgressed():
            disable = " no-immediate" if entry.disable_immediate_execution else ""
            pending = f" pending={','.join(entry.pending)}" if entry.pending else ""
            return f"RunProgressed version={entry.request_version}{disable}{pending}"
        case RunEnded():
            return f"RunEnded {entry.status} {entry.output}"


def effect(effect: Effect, now: int) -> str:
    if isinstance(effect, CallFunction):
        return f"CallFunction {effect.job_id}"
    return f"ScheduleWake {effect.job_id} +{(effect.due_at - now) / 1000:g}s"


def play(text: str) -> str:
    """Run every block of a script; the script with its traces as they are now."""
    script = Script()
    blocks = []
    for block in text.strip().split("\n\n"):
        commands = block.split("\n---")[0].splitlines()
        trace: list[str] = []
        for line in commands:
            if not line.startswith("#"):
                trace += script.command(line)
        blocks.append("\n".join([*commands, "---", *(trace or ["(nothing)"])]) if _acts(commands) else block)
    return "\n\n".join(blocks) + "\n"


def _acts(commands: list[str]) -> bool:
    return any(not line.startswith("#") for line in commands)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path) -> None:
    """Every script gives exactly the trace that is written in it."""
    text = path.read_text("utf-8")
    played = play(text)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(played, "utf-8")
    assert played == text


def test_scripts_are_found() -> None:
    """An empty folder would pass every script."""
    assert len(SCRIPTS) >= 10
