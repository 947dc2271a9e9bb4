"""Changelog keys say what they are about, and are read back."""

from __future__ import annotations

import pytest

from penstock.messages import keys
from penstock.messages.ids import FunctionKey, JobId, RunId, StepId

RUN = RunId("01JABCDEFGHJKMNPQRSTVWXYZ0")


@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [
        (keys.run_key(RUN), b"run", f"run/{RUN}"),
        (keys.progress_key(RUN), b"progress", f"progress/{RUN}"),
        (keys.end_key(RUN), b"end", f"end/{RUN}"),
        (keys.job_key(RUN, JobId("plan/ab")), b"job", f"job/{RUN}/plan/ab"),
        (keys.step_key(RUN, StepId("ab")), b"step", f"step/{RUN}/ab"),
    ],
)
def test_a_runs_keys_name_kind_and_run(key: bytes, kind: bytes, text: str) -> None:
    """Any Kafka tool shows what a record is about; we read kind and run back."""
    assert key.decode() == text
    assert keys.kind_of(key) == kind
    assert keys.run_of(key) == RUN


def test_records_of_a_run_lie_together() -> None:
    """Jobs and steps of a run start with their prefix."""
    assert keys.job_key(RUN, JobId("x")).startswith(keys.jobs_prefix(RUN))
    assert keys.step_key(RUN, StepId("x")).startswith(keys.steps_prefix(RUN))


def test_keys_without_a_run() -> None:
    """Deduplication is by function and event id; the offset is one key."""
    assert keys.kind_of(keys.dedupe_key(FunctionKey("app/f"), "e/1")) == b"dedupe"
    assert keys.dedupe_key(FunctionKey("app/f"), "e/1") == b"dedupe/app/f/e/1"
    assert keys.kind_of(keys.OFFSET) == keys.OFFSET


def test_a_cancellations_key_leads_back_to_it() -> None:
    """Any other key of the topic belongs to none."""
    assert keys.cancellation_of(keys.cancellation_key("01J").decode()) == "01J"
    assert keys.cancellation_of("app/cancellation/01J") == ""
