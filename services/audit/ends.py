"""How runs ended, against what history shows: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..messages.ids import RunId
from .findings import Findings

Shown = Callable[[Sequence[RunId]], Mapping[RunId, str]]
"""The status that history shows of each of these runs; a run that it does not know is left out."""

_PER_QUESTION = 500


def compare(ended: Mapping[RunId, str], shown: Shown) -> Findings:
    """`ended`: the status of each run that the changelog says has ended."""
    findings = Findings()
    asked = list(ended)
    for first in range(0, len(asked), _PER_QUESTION):
        runs = asked[first : first + _PER_QUESTION]
        known = shown(runs)
        findings.checked["ends in history"] += len(runs)
        for run in runs:
            if known.get(run) != ended[run]:
                message = f"ended as {ended[run]}, and history shows it as {known.get(run, 'unknown')}"
                findings.add("history shows the end", run, message)
    return findings
