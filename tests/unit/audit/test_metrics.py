"""The outcome of an audit as metrics."""

from __future__ import annotations

from penstock.audit.findings import RULES, Findings
from penstock.audit.metrics import exposition


def test_every_rule_has_a_line() -> None:
    """Those that hold say 0, so that an alert sees the difference between clean and absent."""
    found = Findings()
    found.add("one end", "run", "twice")
    found.checked["events"] = 7
    lines = exposition(found, 12.5).splitlines()
    assert 'penstock_audit_breaches{rule="one end"} 1' in lines
    assert sum(line.startswith("penstock_audit_breaches{") for line in lines) == len(RULES)
    assert sum(line.endswith("} 0") for line in lines) == len(RULES) - 1
    assert 'penstock_audit_checked{kind="events"} 7' in lines
    assert lines[-1] == "penstock_audit_finished_timestamp_seconds 12.500"
