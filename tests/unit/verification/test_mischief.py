"""Troubles that change how a run goes, never how it ends."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.runs.replies import Failed, parse_reply
from penstock.verification.mischief import GARBAGE, Mischief, Trouble
from penstock.verification.programs import RETRIES
from penstock.verification.usercode import Answer, Call, twice

CALLS = st.builds(
    Call,
    number=st.integers(0, 3),
    k=st.integers(1, 10**9),
    target=st.sampled_from(("step", "p0g0s1")),
    attempt=st.integers(0, RETRIES),
    memory=st.just({}),
)


@given(st.integers(0, 1000), CALLS)
def test_the_last_attempt_is_answered_well_and_a_seed_means_the_same_trouble(seed: int, call: Call) -> None:
    """A call whose last attempt went wrong would fail for good, and with it the model."""
    trouble = Mischief(seed).of(call)
    assert Mischief(seed).of(call) == trouble
    if call.attempt >= RETRIES:
        assert trouble not in (Trouble.CUT, Trouble.GARBAGE)


def test_there_is_trouble_of_every_kind() -> None:
    """About as often as promised."""
    found = [Mischief(1).of(Call(0, k, "step", 0, {})) for k in range(1000)]
    assert set(found) == {None, *Trouble}
    assert 60 < sum(trouble is not None for trouble in found) < 200


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_a_failed_attempt_that_is_repeated(garbage: Answer) -> None:
    """It is never taken for a result, and never for the last word."""
    reply = parse_reply(garbage.status, garbage.headers, garbage.body, 0)
    assert isinstance(reply, Failed)
    assert not reply.no_retry


def test_only_what_may_be_reported_again_is() -> None:
    """All steps of an answer, in the same order; a failed attempt is one attempt, and the last word is said once."""
    ops = [{"op": "StepPlanned", "id": "a"}, {"op": "Sleep", "id": "b", "name": "1s"}]
    doubled = twice(Answer(206, {}, orjson.dumps(ops)))
    assert doubled is not None
    assert orjson.loads(doubled.body) == [*ops, *ops]
    assert twice(Answer(206, {}, b'[{"op":"StepError","id":"a"}]')) is None
    assert twice(Answer(200, {}, b'"done"')) is None
