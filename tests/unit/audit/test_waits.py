"""What runs wait for, against what is registered."""

from __future__ import annotations

from penstock.audit import waits


def test_waits_and_registrations_agree() -> None:
    """One for one."""
    found = waits.compare({"k1": "run/wait/a"}, {"k1"})
    assert found.clean
    assert found.checked["waits"] == 1


def test_a_wait_that_nobody_looks_for_is_found() -> None:
    """Its event would never reach the run."""
    (finding,) = waits.compare({"k1": "run/wait/a"}, set()).kept
    assert (finding.rule, finding.about) == ("every wait is registered", "run/wait/a")


def test_a_registration_without_a_run_is_found() -> None:
    """It would be looked at for every event, for nothing."""
    (finding,) = waits.compare({}, {"k1"}).kept
    assert finding.rule == "no wait outlives its run"
