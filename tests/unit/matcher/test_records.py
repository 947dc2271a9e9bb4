"""What is sent for what arrived."""

from __future__ import annotations

import pytest

from penstock.matcher.records import dead_letter, registry_offset, to_runs
from penstock.messages.codec import Codec
from penstock.messages.dead_letters import MAX_KEPT_BYTES
from penstock.messages.ids import FunctionKey, run_id, run_partition
from penstock.messages.incoming import REGISTRY_HEADER, Arrival
from penstock.messages.records import DeadLetter, StartRun
from penstock.messages.topics import Topics

CODEC = Codec()
TOPICS = Topics("p.", run_partitions=7)


def test_a_start_goes_to_the_owner_of_its_run() -> None:
    """Partition and key follow from the run id."""
    run = run_id(FunctionKey("app/f"), "e", 1)
    command = StartRun(run, FunctionKey("app/f"), ("{}",), ("E",), 1)
    (sent,) = to_runs([command], TOPICS, CODEC)
    assert (sent.topic, sent.key, sent.partition) == ("p.run-steps", run.encode(), run_partition(run, 7))
    assert sent.value is not None
    assert CODEC.decode(sent.value) == command


def letter(arrival: Arrival, key: bytes | None = b"k") -> DeadLetter:
    sent = dead_letter(arrival, key, "broken", 99, TOPICS, CODEC)
    assert sent.topic == "p.dead-letters"
    assert sent.value is not None
    return CODEC.decode_as(DeadLetter, sent.value)


def test_a_dead_letter_keeps_everything_about_its_record() -> None:
    """Bytes, place, headers and reason."""
    arrival = Arrival("p.events", 3, 17, 5, b"\xff", [("a", b"1"), ("a", b"2"), ("none", None)])
    assert letter(arrival) == DeadLetter("p.events", 3, 17, 5, b"k", b"\xff", "broken", 99, {"a": b"2", "none": b""})


def test_a_record_without_value_and_key_can_be_a_dead_letter() -> None:
    """Nothing is a kind of broken event, too."""
    kept = letter(Arrival("p.events", 0, 0, 0, None), None)
    assert (kept.key, kept.value) == (None, None)


def test_what_is_too_large_is_cut_and_says_so() -> None:
    """A dead letter fits on its topic, whatever the record's size."""
    headers = [(f"h{n}", b"x" * 1000) for n in range(200)]
    kept = letter(Arrival("p.events", 0, 0, 0, b"x" * (MAX_KEPT_BYTES + 1), headers), b"k" * 100_000)
    assert kept.value == b"x" * MAX_KEPT_BYTES
    assert kept.key is not None
    assert len(kept.key) == 64 * 1024
    assert 0 < len(kept.headers) < 66
    assert "too large to be kept whole" in kept.reason


@pytest.mark.parametrize(
    ("value", "offset"),
    [(b"12", 12), (b"0", 0), (b"", -1), (b"-3", -1), (b"x", -1), (b"9" * 30, -1), (None, -1), ("٣".encode(), -1)],
)
def test_the_registry_header_is_a_number_or_nothing(value: bytes | None, offset: int) -> None:
    """A stranger's header cannot make an event fail."""
    assert registry_offset([("other", b"1"), (REGISTRY_HEADER, value)]) == offset
