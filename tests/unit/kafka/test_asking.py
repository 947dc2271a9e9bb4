"""Questions are asked again until they are answered, within a bound."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from penstock.errors import Unavailable
from penstock.kafka import asking
from penstock.kafka.asking import until_answered


class Answers:
    """Raises one after the other, and then returns how often it was asked."""

    def __init__(self, *errors: Exception) -> None:
        self.asked = 0
        self._errors = list(errors)

    def __call__(self) -> int:
        self.asked += 1
        if self._errors:
            raise self._errors.pop(0)
        return self.asked


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_PAUSE_SECONDS", (0.0,))


def kafka(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


def test_what_passes_is_asked_again() -> None:
    """A broker that is coming up, or whose answer takes too long."""
    assert until_answered(Answers(kafka(KafkaError._ALL_BROKERS_DOWN), TimeoutError())) == 3
    assert until_answered(Answers(Unavailable("loading")), unanswered=(Unavailable,)) == 2


def test_what_does_not_pass_is_raised_at_once() -> None:
    """Asking again would only hide for a while what somebody must mend."""
    ask = Answers(kafka(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        until_answered(ask)
    with pytest.raises(ValueError, match="a mistake"):
        until_answered(Answers(ValueError("a mistake")))
    assert ask.asked == 1


def test_the_last_error_is_raised_when_time_is_over() -> None:
    """One attempt is made in any case."""
    ask = Answers(*[kafka(KafkaError._TRANSPORT)] * 3)
    with pytest.raises(KafkaException, match="_TRANSPORT"):
        until_answered(ask, seconds=-1.0)
    assert ask.asked == 1
