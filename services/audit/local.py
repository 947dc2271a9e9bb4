"""A local state store against the changelog that it was folded from: pure over what both hold."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from .changelog import digest
from .findings import Findings, Rule


def compare(
    partition: int,
    folded: Mapping[bytes, bytes],
    stored: Iterable[tuple[bytes, bytes]],
    rule: Rule = "state is the fold",
    undecided: Container[bytes] = (),
) -> Findings:
    """`folded`: digest by key, up to the offset that the store has applied; `stored`: its pairs, without indexes.

    `undecided` are keys of which a store may hold either the last value or the one before.
    """
    findings = Findings()
    seen: set[bytes] = set()
    for key, value in stored:
        seen.add(key)
        if key in undecided:
            continue
        findings.checked["stored records"] += 1
        about = f"partition {partition}, {key.decode('utf-8', 'replace')}"
        if key not in folded:
            findings.add(rule, about, "is in the store and not in the changelog")
        elif folded[key] != digest(value):
            findings.add(rule, about, "differs between store and changelog")
    for key in folded.keys() - seen:
        if key in undecided:
            continue
        findings.add(
            rule,
            f"partition {partition}, {key.decode('utf-8', 'replace')}",
            "is in the changelog and not in the store",
        )
    return findings
