"""What live runs wait for, against what lies on the waits topic for the matcher: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .findings import Findings


def compare(expected: Mapping[str, str], registered: Collection[str]) -> Findings:
    """`expected`: keys of live jobs and whose they are; `registered`: keys on the topic that are not tombstones."""
    findings = Findings()
    findings.checked["waits"] += len(expected)
    for key, job in expected.items():
        if key not in registered:
            findings.add("every wait is registered", job, f"nothing lies under {key} on the waits topic")
    for key in registered:
        if key not in expected:
            findings.add("no wait outlives its run", key, "is registered, and no live run waits for it")
    return findings
