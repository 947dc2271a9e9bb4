"""The audit at the end of every test that runs a stack: what always must hold holds after this test, too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from penstock.audit.audit import audit
from penstock.audit.findings import RULES
from penstock.settings import KafkaSettings
from tests.stack import Stack


def excused(request: pytest.FixtureRequest) -> frozenset[str]:
    """The rules that the test breaks on purpose, each time with its reason."""
    found: set[str] = set()
    for mark in request.node.iter_markers("breaks_rules"):
        assert mark.kwargs.get("reason"), "breaks_rules says why, as reason=…"
        assert set(mark.args) <= set(RULES), f"breaks_rules names rules of the audit: {RULES}"
        found |= set(mark.args)
    return frozenset(found)


def assert_rules_hold(stacks: Sequence[Stack], excuses: Collection[str]) -> None:
    """Stopped stacks on the tests' broker: nothing is in motion any more, so one look is enough."""
    folders: dict[KafkaSettings, list[Path]] = {}
    for one in stacks:
        if one.ready_file.exists() and not one.has_own_broker:
            folders.setdefault(one.kafka, []).extend(one.data_dirs)
    for kafka, data_dirs in folders.items():
        assert breaches(kafka, data_dirs, excuses) == []


def breaches(kafka: KafkaSettings, data_dirs: Sequence[Path], excuses: Collection[str] = ()) -> list[str]:
    """What the audit finds, but for what is excused."""
    found = audit(kafka, data_dirs, lambda _: None, confirm_seconds=0.0)
    return [str(finding) for finding in found.kept if finding.rule not in excuses]
