"""What an audit found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

#: Findings of one rule that are kept in full; the others are only counted.
MAX_KEPT = 100


Rule = Literal[
    "alive",
    "decodable",
    "every command is applied",
    "every command is taken",
    "every event is taken",
    "every match starts a run",
    "every timer is set",
    "every wait is registered",
    "history shows the end",
    "no wait outlives its run",
    "nothing after the end",
    "nothing is dropped",
    "nothing without a run",
    "on time",
    "one end",
    "one owner",
    "one result a step",
    "one start",
    "state is the fold",
    "waits are the fold",
]
"""What must always hold; `docs/audit.md` says of each what it means when it is broken."""
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: which rule, about what (a run, a key, a place on a topic), and what is wrong."""

    rule: Rule
    about: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.about}: {self.message}"


@dataclass(slots=True)
class Findings:
    """Breaches by rule, bounded, and what was looked at."""

    kept: list[Finding] = field(default_factory=list)
    breaches: Counter[Rule] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    """How much of each kind was looked at: a clean audit of nothing says nothing."""

    def add(self, rule: Rule, about: str, message: str) -> None:
        self.breaches[rule] += 1
        if self.breaches[rule] <= MAX_KEPT:
            self.kept.append(Finding(rule, about, message))

    def merge(self, other: Findings) -> None:
        """Take over what another part of the audit found."""
        for finding in other.kept:
            self.add(finding.rule, finding.about, finding.message)
        for rule, count in other.breaches.items():
            kept = sum(finding.rule == rule for finding in other.kept)
            self.breaches[rule] += count - kept
        self.checked += other.checked

    def confirmed_by(self, later: Findings) -> Findings:
        """Those breaches that a later look found again: what was only in motion is none."""
        again = {(finding.rule, finding.about) for finding in later.kept}
        confirmed = Findings(checked=later.checked)
        for finding in self.kept:
            if (finding.rule, finding.about) in again:
                confirmed.add(finding.rule, finding.about, finding.message)
        return confirmed

    @property
    def clean(self) -> bool:
        return not self.breaches

    def lines(self) -> Iterable[str]:
        """For people: every kept finding, and how many more there are."""
        yield from map(str, self.kept)
        for rule, count in self.breaches.items():
            if count > MAX_KEPT:
                yield f"{rule}: {count - MAX_KEPT} more"
