"""Golden scripts of the run state machine: commands, `---`, and the trace that they give.

Each file in `runs/` tells one story. After an intended change of the rules, rewrite the traces with
`UPDATE_GOLDEN=1 pytest tests/golden` and read the difference as carefully as code.

    start [attempts=N] [in=5s] [event=JSON] [id=TEXT] [cancel=EVENT [if=CEL]] [parent=JOB] [memory=JSON] [unknown=1]
    answer JOB [attempt=N] STATUS [header=value …] BODY      checkpoint JOB [attempt=N] OPCODES
    met JOB EVENT-ID EVENT                                   heard JOB sent|refused|replaced [DATA or RUN]
    ended JOB Completed|Failed|Cancelled OUTPUT [of another] replied JOB [attempt=N] STATUS BODY, or `unsent` REASON
    due JOB    cancel REASON    wait 5s    rules max_steps=2 …    functions NAME=FUNCTION …

In the trace, `→` is an effect after the commit and `⇒` a message within it; times are counted from now.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.messages.ids import FunctionKey, JobId, RunId
from penstock.messages.records import (
    ClaimSignal,
    Event,
    InvokedRunEnded,
    JobScheduled,
    ReleaseSignal,
    ResumeRun,
    RunEnded,
    RunProgressed,
    RunStarted,
    SignalAnswered,
    StartRun,
    StepFinished,
    Wait,
)
from penstock.runs.advance import advance
from penstock.runs.cancels import CancelRule
from penstock.runs.details import invoked_run_of
from penstock.runs.effects import CallFunction, Effect, EndAnnounced, Message, SendRequest, WaitOver
from penstock.runs.facts import (
    CallAnswered,
    CancelRequested,
    EventMet,
    Fact,
    InvocationEnded,
    JobDue,
    RequestAnswered,
    SignalHeard,
    StartRequested,
    StepsCheckpointed,
)
from penstock.runs.outcomes import NotSent, Outcome, Responded
from penstock.runs.replies import parse_ops, parse_reply
from penstock.runs.run import Entry, JobRemoved, Run
from penstock.runs.turn import Rules

SCRIPTS = sorted((Path(__file__).parent / "runs").glob("*.txt"))
RUN = RunId("01J00000000000000000000000")
OTHER_RUN = RunId("01J0000000000000000000000X")
T0 = 1_700_000_000_000


class Script:
    """Interprets the commands of one script against one run, on a clock that only `wait` moves."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.now = T0
        self.rules = Rules(linear_retry_seconds=10.0)
        self.functions: dict[str, FunctionKey] = {}
        self.facts: dict[str, Callable[[str], Fact]] = {
            "start": self.start,
            "answer": self.answer,
            "checkpoint": self.checkpoint,
            "met": self.met,
            "heard": self.heard,
            "ended": self.ended,
            "replied": self.replied,
            "due": lambda rest: JobDue(JobId(rest)),
            "cancel": CancelRequested,
        }

    def command(self, line: str) -> list[str]:
        verb, _, rest = line.partition(" ")
        match verb:
            case "wait":
                self.now += int(float(rest.removesuffix("s")) * 1000)
            case "rules":
                limits = {key: int(value) for key, value in _options(rest).items()}
                self.rules = Rules(linear_retry_seconds=10.0, **limits)
            case "functions":
                self.functions = {name: FunctionKey(key) for name, key in _options(rest).items()}
            case _:
                return self.take(self.facts[verb](rest))
        return []

    def start(self, rest: str) -> StartRequested:
        options = _options(rest)
        command = StartRun(
            RUN,
            FunctionKey("app/fn"),
            (options.get("event", "{}"),),
            (options.get("id", "e"),),
            T0,
            start_at=T0 + int(options["in"].removesuffix("s")) * 1000 if "in" in options else 0,
            parent_run=OTHER_RUN if "parent" in options else "",
            parent_job=options.get("parent", ""),
            memory=options.get("memory", ""),
        )
        cancels = (CancelRule(options["cancel"], options.get("if")),) if "cancel" in options else ()
        version = None if "unknown" in options else 1
        return StartRequested(command, version, int(options.get("attempts", "5")), cancels)

    def answer(self, rest: str) -> CallAnswered:
        job_id, attempt, rest = self.attempt_of(rest)
        status, _, rest = rest.partition(" ")
        headers = {"x-inngest-sdk": "py:v1", "x-inngest-req-version": "2"}
        while "=" in rest.split(" ", 1)[0] and rest[0] not in '[{"':
            word, _, rest = rest.partition(" ")
            name, _, value = word.partition("=")
            headers[name] = value
        reply = parse_reply(int(status), headers, rest.encode(), self.now)
        return CallAnswered(job_id, attempt, reply, self.functions)

    def checkpoint(self, rest: str) -> StepsCheckpointed:
        job_id, attempt, rest = self.attempt_of(rest)
        return StepsCheckpointed(job_id, attempt, parse_ops(rest))

    def met(self, rest: str) -> EventMet:
        job_id, event_id, event = rest.split(" ", 2)
        return EventMet(ResumeRun(RUN, JobId(job_id), event_id, event, self.now))

    def heard(self, rest: str) -> SignalHeard:
        job_id, answer, *more = rest.split(" ", 2)
        data = more[0] if more and answer == "sent" else "null"
        other = "" if answer == "sent" else OTHER_RUN
        return SignalHeard(SignalAnswered("go", RUN, JobId(job_id), answer, data, other))  # type: ignore[arg-type]

    def ended(self, rest: str) -> InvocationEnded:
        job_id, status, output = rest.split(" ", 2)
        job = self.run.jobs.get(JobId(job_id)) if self.run else None
        child = OTHER_RUN if job is None or output.endswith(" of another") else RunId(invoked_run_of(job))
        output = output.removesuffix(" of another")
        return InvocationEnded(InvokedRunEnded(RUN, JobId(job_id), child, status, output))  # type: ignore[arg-type]

    def replied(self, rest: str) -> RequestAnswered:
        job_id, attempt, rest = self.attempt_of(rest)
        status, _, body = rest.partition(" ")
        outcome: Outcome = (
            NotSent(body, retriable=True) if status == "unsent" else Responded(int(status), {}, body.encode())
        )
        return RequestAnswered(job_id, attempt, outcome)

    def attempt_of(self, rest: str) -> tuple[JobId, int, str]:
        """The job named first, its attempt (by default the one under way) and what follows."""
        word, _, rest = rest.partition(" ")
        job_id = JobId(word)
        attempt = self.run.jobs[job_id].attempt if self.run and job_id in self.run.jobs else 0
        if rest.startswith("attempt="):
            word, _, rest = rest.partition(" ")
            attempt = int(word.removeprefix("attempt="))
        return job_id, attempt, rest

    def take(self, fact: Fact) -> list[str]:
        result = advance(self.run, fact, self.now, self.rules)
        self.run = result.run
        return [
            *(describe(entry, self.now) for entry in result.entries),
            *(f"⇒ {message_text(message, self.now)}" for message in result.messages),
            *(f"→ {effect_text(effect, self.now)}" for effect in result.effects),
        ]


def _options(rest: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in shlex.split(rest)]
    return {name: value for name, _, value in pairs}


def describe(entry: Entry, now: int) -> str:
    match entry:
        case RunStarted():
            return f"RunStarted {entry.function} version={entry.function_version} attempts={entry.max_attempts}"
        case JobScheduled():
            text = f"JobScheduled {entry.job_id} {entry.kind} step={entry.step_id} due={_in(entry.due_at, now)}"
            text += f" attempt={entry.attempt}" if entry.attempt else ""
            text += f" mode={entry.mode}" if entry.mode != "wait" else ""
            return text + (f" last_error={entry.last_error}" if entry.last_error else "")
        case JobRemoved():
            return f"JobRemoved {entry.job_id}"
        case StepFinished():
            failed = " failed" if entry.failed else ""
            source = f" from={entry.source}" if entry.source else ""
            return f"StepFinished {entry.step_id} #{entry.position} {entry.op} {entry.output}{failed}{source}"
        case RunProgressed():
            disable = " no-immediate" if entry.disable_immediate_execution else ""
            pending = f" pending={','.join(entry.pending)}" if entry.pending else ""
            return f"RunProgressed version={entry.request_version}{disable}{pending}"
        case RunEnded():
            return f"RunEnded {entry.status} {entry.output}"


def message_text(message: Message, now: int) -> str:
    match message:
        case Wait():
            asked = f" {message.path} is {message.value}" if message.path else ""
            asked += f" if {message.condition} bound={message.bound}" if message.condition else ""
            times = f"since={_in(message.since, now)} until={_in(message.until, now)}"
            return f"Wait {message.job_id} {message.event}{asked} {times} excluded={','.join(message.excluded)}"
        case WaitOver():
            return f"WaitOver {message.wait_key.split('/', 2)[2]}"
        case StartRun():
            return f"StartRun {message.function} for={message.parent_job} {message.correlation_id} {message.events[0]}"
        case InvokedRunEnded():
            return f"InvokedRunEnded {message.run_id} {message.job_id} {message.status} {message.output}"
        case ClaimSignal():
            replace = " replace" if message.replace else ""
            return f"ClaimSignal {message.signal} {message.job_id}{replace} until={_in(message.expires_at, now)}"
        case ReleaseSignal():
            return f"ReleaseSignal {message.signal} {message.job_id}"
        case Event():
            return f"Event {message.name} {message.internal_id}"
        case EndAnnounced():
            return "EndAnnounced"


def effect_text(effect: Effect, now: int) -> str:
    if isinstance(effect, CallFunction | SendRequest):
        return f"{type(effect).__name__} {effect.job_id}"
    return f"ScheduleWake {effect.job_id} {_in(effect.due_at, now)}"


def _in(at: int, now: int) -> str:
    return f"{(at - now) / 1000:+.10g}s"


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
    assert len(SCRIPTS) >= 70
