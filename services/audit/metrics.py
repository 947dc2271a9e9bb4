"""What an audit found, as metrics in Prometheus' text format, for a textfile collector or a push gateway: pure."""

from __future__ import annotations

from collections.abc import Iterator

from .findings import RULES, Findings


def exposition(found: Findings, finished_at: float) -> str:
    """Every rule has a line, also one that holds, so that an alert can tell "clean" from "not looked"."""
    return "\n".join(_lines(found, finished_at)) + "\n"


def _lines(found: Findings, finished_at: float) -> Iterator[str]:
    yield "# HELP penstock_audit_breaches Breaches of a rule that must always hold, at the last audit."
    yield "# TYPE penstock_audit_breaches gauge"
    for rule in RULES:
        yield f'penstock_audit_breaches{{rule="{rule}"}} {found.breaches[rule]}'
    yield "# HELP penstock_audit_checked What the last audit looked at, by kind."
    yield "# TYPE penstock_audit_checked gauge"
    for kind, count in sorted(found.checked.items()):
        yield f'penstock_audit_checked{{kind="{kind}"}} {count}'
    yield "# HELP penstock_audit_finished_timestamp_seconds When the last audit ended."
    yield "# TYPE penstock_audit_finished_timestamp_seconds gauge"
    yield f"penstock_audit_finished_timestamp_seconds {finished_at:.3f}"
