"""A local state store against the changelog that it was folded from: pure over what both hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .changelog import digest
from .findings import Findings


def compare(partition: int, folded: Mapping[bytes, bytes], stored: Iterable[tuple[bytes, bytes]]) -> Findings:
    """`folded`: digest by key, up to the offset that the store has applied; `stored`: its pairs, without indexes."""
    findings = Findings()
    seen: set[bytes] = set()
    for key, value in stored:
        seen.add(key)
        findings.checked["stored records"] += 1
        about = f"partition {partition}, {key.decode('utf-8', 'replace')}"
        if key not in folded:
            findings.add("state is the fold", about, "is in the store and not in the changelog")
        elif folded[key] != digest(value):
            findings.add("state is the fold", about, "differs between store and changelog")
    for key in folded.keys() - seen:
        findings.add(
            "state is the fold",
            f"partition {partition}, {key.decode('utf-8', 'replace')}",
            "is in the changelog and not in the store",
        )
    return findings
