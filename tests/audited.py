"""The audit at the end of every test that runs a stack: what always must hold holds after this test, too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.audit.audit import audit
from penstock.audit.findings import RULES, Findings
from penstock.cli.broker.installation import Installation
from penstock.cli.broker.server import BrokerPlace, EmbeddedBroker
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


def assert_rules_hold(
    stacks: Sequence[Stack], excuses: Collection[str], installation: Installation | None = None
) -> None:
    """Every stack that was ready once, stopped: nothing is in motion any more, so one look is enough.

    The broker of a stack that has its own ended with it, and is brought up once more, by itself (`installation`).
    """
    shared: dict[KafkaSettings, list[Path]] = {}
    for one in stacks:
        if not one.was_ready:
            continue
        if one.has_own_broker:
            assert installation is not None, "a stack's own broker can be read only with an installation to run it"
            with _served(one, installation) as kafka:
                _hold(kafka, one.data_dirs, excuses)
        else:
            shared.setdefault(one.kafka, []).extend(one.data_dirs)
    for kafka, data_dirs in shared.items():
        _hold(kafka, data_dirs, excuses)


def _hold(kafka: KafkaSettings, data_dirs: Sequence[Path], excuses: Collection[str]) -> None:
    found = audit(kafka, data_dirs, lambda _: None, confirm_seconds=0.0)
    missed = unlooked(found, kafka)
    assert not missed, f"the audit has not seen everything: {missed}"
    broken = [str(finding) for finding in found.kept if finding.rule not in excuses]
    assert not broken, "the audit found:\n" + "\n".join(broken)


def unlooked(found: Findings, kafka: KafkaSettings) -> list[str]:
    """What an audit must have seen and has not: a clean audit of nothing says nothing."""
    missed = []
    if found.checked["partitions"] != kafka.run_partitions:
        missed.append(f"changelogs of {found.checked['partitions']} partitions, not {kafka.run_partitions}")
    if found.checked["start commands"] and not found.checked["changelog records"]:
        missed.append(f"no changelog record after {found.checked['start commands']} start commands")
    if found.checked["changelog records"] and not found.checked["stored records"]:
        missed.append(f"no local store of {found.checked['changelog records']} changelog records")
    return missed


@contextmanager
def _served(one: Stack, installation: Installation) -> Iterator[KafkaSettings]:
    """The stack's own broker alone, on the data that it left."""
    place = BrokerPlace.at(one.data_dir / "kafka")
    with one.log.open("ab") as log:
        broker = EmbeddedBroker(installation, place, log)
        try:
            broker.wait_ready()
            yield KafkaSettings(kafka_bootstrap_servers=place.bootstrap_servers, topic_prefix=one.topic_prefix)
        finally:
            broker.stop()
