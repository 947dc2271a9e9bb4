"""One run: its timeline, what went in and came out, what it waits for, and its relatives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ..errors import InvalidInput
from ..history.read import Found
from ..messages.ids import FunctionKey, is_ulid
from .desk import Desk, NotFound, back, told
from .forms import read_form
from .guard import RAW_HEADERS
from .runs import act_on
from .timeline import cancellations, timeline

MAX_INPUTS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RunView:
    """`/runs/{run_id}` and what can be done there."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        route = self.desk.route
        return [
            route("/runs/{run_id}", self.show),
            route("/runs/{run_id}/cancel", self.cancel, "POST"),
            route("/runs/{run_id}/rerun", self.rerun, "POST"),
            route("/runs/{run_id}/output", self.output),
            route("/runs/{run_id}/steps/{step_id:path}/output", self.step_output),
        ]

    async def show(self, request: Request) -> Response:
        run = await self._run(request)
        runs, run_id = self.desk.history.runs, run.run_id
        questions = (runs.steps, runs.attempts, runs.jobs, runs.events, runs.children, runs.reruns)
        answers = await asyncio.gather(*(self.desk.read(question, run_id) for question in questions))
        steps, attempts, jobs, events, children, reruns = answers
        registered = self.desk.functions().function(FunctionKey(run.function))
        return self.desk.page(
            request,
            "run.html",
            run=run,
            name=registered.config.name if registered else run.function,
            picture=timeline(run, steps, attempts, jobs, self.desk.now()),
            events=events[:MAX_INPUTS_SHOWN],
            more_events=max(len(events) - MAX_INPUTS_SHOWN, 0),
            children=children,
            reruns=reruns,
            cancelled_by=cancellations(jobs),
            known=registered is not None,
        )

    async def cancel(self, request: Request) -> Response:
        run_id = _run_id(request)
        return told(await act_on(self.desk, "cancel", run_id), f"/runs/{run_id}", "The run was cancelled.")

    async def rerun(self, request: Request) -> Response:
        """To the new run, whose page fills as it starts."""
        run_id = _run_id(request)
        form = await read_form(request)
        answer = await act_on(self.desk, "rerun", run_id, form.get("from_step", ""))
        if not answer.good:
            return back(f"/runs/{run_id}", answer.error, bad=True)
        return back(f"/runs/{answer.data['run_id']}?starting=1", f"A rerun of {run_id} has been started.")

    async def output(self, request: Request) -> Response:
        """The whole output, as text."""
        run = await self._run(request)
        return raw(run.output)

    async def step_output(self, request: Request) -> Response:
        run_id, step_id = _run_id(request), request.path_params["step_id"]
        found: Sequence[Found] = await self.desk.read(self.desk.history.runs.steps, run_id)
        for step in found:
            if step.step_id == step_id:
                return raw(step.output)
        raise NotFound(f"run {run_id} has no finished step {step_id[:100]!r}; its page lists the ones it has")

    async def _run(self, request: Request) -> Found:
        run_id = _run_id(request)
        run = await self.desk.read(self.desk.history.runs.one, run_id)
        if run is None:
            raise NotFound(
                f"no run has the id {run_id}; if it has just been started, this page shows it within a moment"
            )
        return run


def raw(text: str | None) -> Response:
    """What was stored, as text that runs nothing."""
    return Response(text or "", media_type="text/plain", headers=RAW_HEADERS)


def _run_id(request: Request) -> str:
    run_id: str = request.path_params["run_id"]
    if not is_ulid(run_id):
        raise InvalidInput(f"a run id has 26 characters, such as 01J4Z8…; {run_id[:40]!r} is none")
    return run_id
