"""What the audit of dependencies makes of the tools' reports."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("advisories", Path(__file__).parents[2] / "infra" / "advisories.py")
assert _SPEC is not None
assert _SPEC.loader is not None
advisories = importlib.util.module_from_spec(_SPEC)
sys.modules["advisories"] = advisories
_SPEC.loader.exec_module(advisories)

SKIPPED = {"name": "a", "skip_reason": "Dependency not found on PyPI and could not be audited: a (1)"}
CLEAN = {"name": "b", "version": "1", "vulns": []}
BAD = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"], "aliases": []}]}


def test_packages_that_nobody_knows_are_not_audited() -> None:
    """pip-audit reports success on a mirror without advisories; we do not."""
    outcome = advisories.read_pip_audit(json.dumps({"dependencies": [SKIPPED]}), "No known vulnerabilities found")
    assert outcome.asked == 0
    assert "NOT AUDITED" in advisories.said(outcome)
    assert advisories.exit_code([outcome], required=False) == 0
    assert advisories.exit_code([outcome], required=True) == 2


@pytest.mark.parametrize("required", [True, False])
def test_findings_fail(required: bool) -> None:
    """Each with where it is mended; also when others could not be asked about."""
    outcome = advisories.read_pip_audit(json.dumps({"dependencies": [SKIPPED, CLEAN, BAD]}), "")
    assert outcome.findings == ("c 2: PYSEC-1, mended in 3",)
    assert advisories.exit_code([outcome, advisories.Outcome(0)], required) == 1


def test_no_findings_pass() -> None:
    """Of packages that were asked about."""
    outcome = advisories.read_pip_audit(json.dumps({"dependencies": [CLEAN]}), "")
    assert advisories.said(outcome) == "0 findings in 1 packages"
    assert advisories.exit_code([outcome], required=True) == 0


def test_npm_reports() -> None:
    """Findings by package; an endpoint that refuses is nobody asked, with its words."""
    counted = {"metadata": {"dependencies": {"total": 7}}}
    found = {"vulnerabilities": {"x": {"severity": "high", "range": "<2"}}, **counted}
    assert advisories.read_npm_audit(json.dumps(found), "").findings == ("x: high, <2",)
    assert advisories.read_npm_audit(json.dumps({"vulnerabilities": {}, **counted}), "").asked == 7
    refused = advisories.read_npm_audit('{"error": {}}', "npm error audit endpoint returned an error\n")
    assert (refused.asked, refused.reason) == (0, "npm error audit endpoint returned an error")
