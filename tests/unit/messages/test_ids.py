"""ULIDs, and ids derived from what they name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.messages import ids
from penstock.messages.ids import FunctionKey, RunId

MILLIS = st.integers(0, (1 << 48) - 1)
ENTROPY = st.binary(min_size=10, max_size=10)


@given(MILLIS, ENTROPY)
def test_a_ulid_holds_its_time_and_entropy(millis: int, entropy: bytes) -> None:
    """Nothing of the 128 bits is lost in 26 characters."""
    text = ids.ulid(millis, entropy)
    assert ids.is_ulid(text)
    assert ids.ulid_millis(text) == millis
    assert ids.ulid_number(text) & ((1 << 80) - 1) == int.from_bytes(entropy, "big")


@given(MILLIS, ENTROPY, MILLIS, ENTROPY)
def test_ulids_sort_by_time(one: int, entropy: bytes, other: int, more: bytes) -> None:
    """Their text sorts as their time does."""
    if one < other:
        assert ids.ulid(one, entropy) < ids.ulid(other, more)


def test_a_known_ulid() -> None:
    """The example of the ULID specification's own alphabet: all bits set is 7 and 25 times Z."""
    assert ids.ulid((1 << 48) - 1, b"\xff" * 10) == "7" + "Z" * 25
    assert ids.ulid(-5, b"\0" * 10) == "0" * 26


@pytest.mark.parametrize("text", ["", "8" + "Z" * 25, "0" * 25, "0" * 27, "o" * 26, "I" * 26, "0" * 25 + "\n"])
def test_what_is_no_ulid(text: str) -> None:
    """Other lengths, letters outside the alphabet, and more than 128 bits."""
    assert not ids.is_ulid(text)
    with pytest.raises(ValueError, match="not a ULID"):
        ids.ulid_number(text)


def test_entropy_has_ten_bytes() -> None:
    """Anything else is a mistake of the caller."""
    with pytest.raises(ValueError, match="10 bytes"):
        ids.ulid(0, b"short")


@given(st.text(max_size=30), st.text(max_size=30), MILLIS)
def test_a_run_id_is_derived(function: str, event_id: str, received_at: int) -> None:
    """Equal arguments name the same run; its last 16 bits are the bucket of its placement."""
    key = FunctionKey(function)
    run = ids.run_id(key, event_id, received_at)
    assert run == ids.run_id(key, event_id, received_at)
    assert ids.ulid_millis(run) == received_at
    assert ids.ulid_number(run) & 0xFFFF == ids.bucket_of(f"{function}\0{event_id}")


@given(st.text(max_size=20), st.integers(1, 64))
def test_placement_decides_the_partition(placement: str, partitions: int) -> None:
    """Runs of one placement key have one owner, whatever their function and event."""
    one = ids.run_id(FunctionKey("app/a"), "1", 1, placement)
    other = ids.run_id(FunctionKey("app/b"), "2", 2, placement)
    assert one != other
    assert ids.run_partition(one, partitions) == ids.run_partition(other, partitions) < partitions


def test_functions_and_events_are_told_apart() -> None:
    """The boundary between function and event id counts."""
    assert ids.run_id(FunctionKey("ab"), "c", 0) != ids.run_id(FunctionKey("a"), "bc", 0)


def test_a_partition_needs_a_run_id() -> None:
    """What is no ULID has no owner."""
    with pytest.raises(ValueError, match="not a ULID"):
        ids.run_partition(RunId("x"), 4)


def test_records_name_their_events() -> None:
    """Equal places give equal ids, other places others, and the time is the record's."""
    first = ids.record_event_id("events", 0, 5, 1000)
    assert first == ids.record_event_id("events", 0, 5, 1000)
    others = {ids.record_event_id(*place, 1000) for place in (("events", 0, 6), ("events", 1, 5), ("internal", 0, 5))}
    assert len(others | {first}) == 4
    assert ids.ulid_millis(first) == 1000


def test_functions_and_apps_have_stable_uuids() -> None:
    """A function and an app of one name differ."""
    assert ids.function_uuid(FunctionKey("a")) == ids.function_uuid(FunctionKey("a"))
    assert ids.function_uuid(FunctionKey("a")) != ids.app_uuid("a")
