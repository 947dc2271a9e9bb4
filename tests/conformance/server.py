"""The server under test, as a client sees it: events in, runs out. Nothing here knows Penstock's insides."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

RUN_SECONDS = 40.0
FINAL = ("Completed", "Failed", "Cancelled", "Skipped", "Overflowed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run as the read API shows it."""

    run: str
    status: str
    output: Any

    def message(self) -> str:
        """What the error body says, for a failed run."""
        assert isinstance(self.output, dict), f"a failed run's output is the SDK's error body, not {self.output!r}"
        return str(self.output["message"])


class Server:
    """A server that speaks the protocol, at a URL; every wait is for a condition and has a bound."""

    def __init__(self, url: str, event_key: str = "any", signing_key: str = "") -> None:
        self.url = url.rstrip("/")
        self.event_key = event_key
        headers = {"authorization": f"Bearer {signing_key}"} if signing_key else {}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=20.0)

    def close(self) -> None:
        self.http.close()

    def send(self, *events: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> list[str]:
        """Send events in one request; their internal ids."""
        answer = self.http.post(f"/e/{self.event_key}", json=list(events), headers=dict(headers or {}))
        assert answer.status_code == 200, answer.text
        ids = answer.json()["ids"]
        assert len(ids) == len(events)
        return [str(each) for each in ids]

    def runs_of(self, event: str) -> list[dict[str, Any]]:
        """Runs that the event started, as far as they are visible."""
        answer = self.http.get(f"/v1/events/{event}/runs")
        if answer.status_code == 404:
            return []
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"] or [])

    def wait_runs(self, event: str, number: int = 1, seconds: float = RUN_SECONDS) -> list[dict[str, Any]]:
        """The event's runs, as soon as there are `number` of them."""
        end = time.monotonic() + seconds
        while len(found := self.runs_of(event)) < number:
            assert time.monotonic() < end, f"{len(found)} of {number} runs of event {event} after {seconds:.0f} s"
            time.sleep(0.05)
        assert len(found) == number, f"{len(found)} runs of event {event}, {number} expected: {found}"
        return found

    def wait_run(self, event: str) -> str:
        """Id of the event's only run."""
        return str(self.wait_runs(event)[0]["run_id"])

    def run(self, run: str) -> Outcome:
        answer = self.http.get(f"/v1/runs/{run}")
        assert answer.status_code == 200, answer.text
        row = answer.json()["data"]
        return Outcome(run, row["status"], row.get("output"))

    def wait_outcome(self, event: str, seconds: float = RUN_SECONDS) -> Outcome:
        """How the event's only run ended."""
        return self.wait_ended(self.wait_run(event), seconds)

    def wait_ended(self, run: str, seconds: float = RUN_SECONDS) -> Outcome:
        end = time.monotonic() + seconds
        while (outcome := self._shown(run)) is None or outcome.status not in FINAL:
            shown = "not visible" if outcome is None else outcome.status
            assert time.monotonic() < end, f"run {run} is {shown} after {seconds:.0f} s"
            time.sleep(0.05)
        return outcome

    def _shown(self, run: str) -> Outcome | None:
        return None if self.http.get(f"/v1/runs/{run}").status_code == 404 else self.run(run)

    def cancel(self, run: str) -> httpx.Response:
        return self.http.delete(f"/v1/runs/{run}")
