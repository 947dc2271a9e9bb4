"""Event bodies: what is an event, under which id, and what is wrong with the first bad one."""

from __future__ import annotations

import json
from base64 import b64encode

import inngest
import pytest
from inngest._internal.client_lib.client import _seed as python_seed

from penstock.errors import InvalidInput
from penstock.functions.starting import start_run
from penstock.ingest.events import INVOKED, MAX_EVENTS, Seed, parse_seed, read_events, read_invocation
from penstock.messages.ids import FunctionKey, function_uuid, ulid, ulid_millis, ulid_number
from penstock.messages.records import Event

NOW = 1_790_000_000_000
SEED = Seed(NOW, bytes(10))


def read(*rows: object) -> tuple[list[Event], str | None]:
    """Events and error of a body: one row is sent as an object, more as an array."""
    body = json.dumps(rows[0] if len(rows) == 1 else list(rows)).encode()
    found = read_events(body, SEED, NOW)
    return found.events, found.error


def error_of(row: object) -> str:
    """Why a single event is refused."""
    events, error = read(row)
    assert events == []
    assert error is not None
    return error


def test_a_whole_event_is_kept_as_it_came() -> None:
    """Every field arrives; data and user are JSON text."""
    ((event,), error) = read(
        {"id": "o-1", "name": "shop/order", "data": {"a": [1, 2.5, None]}, "user": {"id": 7}, "ts": NOW - 5, "v": "2"}
    )
    assert error is None
    assert event == Event(
        name="shop/order",
        data='{"a":[1,2.5,null]}',
        id="o-1",
        ts=NOW - 5,
        user='{"id":7}',
        v="2",
        internal_id=SEED.id_at(0),
        received_at=NOW,
        source="http",
    )


def test_only_a_name_is_needed() -> None:
    """Data and user default to empty objects, the time to now, the id to none."""
    ((event,), _) = read({"name": "a"})
    assert (event.data, event.user, event.ts, event.id, event.v) == ("{}", "{}", NOW, "", None)


def test_null_is_not_set() -> None:
    """SDKs send null for what is not set."""
    nulls = dict.fromkeys(("id", "data", "user", "ts", "v", "meta"))
    assert read({"name": "a", **nulls}) == read({"name": "a"})


def test_keys_are_matched_in_any_case() -> None:
    """As the reference does; unknown keys are ignored."""
    assert read({"NAME": "a", "Data": {"X": 1}, "other": 1}) == read({"name": "a", "data": {"X": 1}})


def test_the_reserved_part_of_data_is_removed() -> None:
    """Only the system may write it; what the sender put deeper is the sender's."""
    ((event,), _) = read({"name": "a", "data": {"_inngest": {"x": 1}, "b": {"_inngest": 1}}})
    assert event.data == '{"b":{"_inngest":1}}'


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "name is missing"),
        ({"name": ""}, "name is missing"),
        ({"name": None}, "name is missing"),
        ({"name": 5}, "name must be text, not a number"),
        ({"name": "x" * 1025}, "name has 1025 characters"),
        ({"name": "inngest/function.finished"}, "the system's own"),
        ({"name": "InnGest/x"}, "the system's own"),
        ({"name": "a", "data": []}, "data must be a JSON object, not an array"),
        ({"name": "a", "data": "x"}, "data must be a JSON object, not text"),
        ({"name": "a", "data": 0}, "data must be a JSON object, not a number"),
        ({"name": "a", "data": False}, "data must be a JSON object, not a boolean"),
        ({"name": "a", "user": []}, "user must be a JSON object"),
        ({"name": "a", "id": 5}, "id must be text"),
        ({"name": "a", "id": "x" * 1025}, "id has 1025 characters"),
        ({"name": "a", "v": 5}, "v must be text"),
        ({"name": "a", "ts": "now"}, "ts must be whole milliseconds since 1970, not text"),
        ({"name": "a", "ts": True}, "not a boolean"),
        ({"name": "a", "ts": NOW + 0.5}, "ts must be whole milliseconds"),
        ({"name": "a", "ts": NOW // 1000}, "between the years 1980 and 2100"),
        ({"name": "a", "ts": NOW * 1000}, "between the years 1980 and 2100"),
        ({"name": "a", "ts": -1}, "between the years 1980 and 2100"),
        ({"name": "a", "data": {"x": "y" * 3 * 1024 * 1024}}, "at most 3 MiB"),
        ({"name": "a", "data": {"x": json.loads("[" * 210 + "]" * 210)}}, "deeper than 200 levels"),
        ({"name": "a", "data": {"x": json.loads("[" * 500 + "]" * 500)}}, "deeper than 200 levels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_event_is_refused(row: object, reason: str) -> None:
    """The message names the key and what it should be."""
    assert reason in error_of(row)


def test_a_time_of_zero_means_now() -> None:
    """Senders in other languages send zero for a time that is not set."""
    ((event,), _) = read({"name": "a", "ts": 0})
    assert event.ts == NOW


def test_a_batch_is_accepted_up_to_the_first_bad_event() -> None:
    """Those before are kept, those after are not looked at: the Python SDK's `[good, "", ""]` gives one id."""
    events, error = read({"name": "a"}, {"name": ""}, {"name": "b"})
    assert [event.name for event in events] == ["a"]
    assert error is not None
    assert error.startswith("event 1: name is missing")


def test_a_row_that_is_no_object_is_a_bad_event() -> None:
    """It ends the batch like any other bad event."""
    events, error = read({"name": "a"}, 5)
    assert len(events) == 1
    assert error == "event 1: an event must be a JSON object"


def test_an_empty_batch_holds_nothing() -> None:
    """Nothing to do is no error."""
    assert read_events(b"[]", SEED, NOW).error is None


@pytest.mark.parametrize("body", [b"", b" ", b"{", b"5", b'"a"', b"null", b'{"name": "\xff"}', b"a=b&c=d"])
def test_a_body_that_is_no_json_event_is_refused(body: bytes) -> None:
    """With a word about what to send."""
    with pytest.raises(InvalidInput, match="JSON"):
        read_events(body, SEED, NOW)


def test_too_many_events_are_refused_as_a_whole() -> None:
    """Five thousand fit into a request, one more does not."""
    row = b'{"name":"a"},'
    full = b"[" + (row * MAX_EVENTS)[:-1] + b"]"
    assert len(read_events(full, SEED, NOW).events) == MAX_EVENTS
    with pytest.raises(InvalidInput, match="5001 events"):
        read_events(b"[" + row + full[1:], SEED, NOW)


def test_ids_count_up_from_the_seed() -> None:
    """The first event adds one to the last four bytes, as every SDK's server does; ids sort by position."""
    entropy = bytes([1, 2, 3, 4, 5, 6, 0, 0, 0, 9])
    seed = Seed(NOW, entropy)
    assert seed.id_at(0) == ulid(NOW, entropy[:6] + (10).to_bytes(4, "big"))
    ids = [seed.id_at(position) for position in range(300)]
    assert ids == sorted(set(ids))
    assert ulid_millis(ids[0]) == NOW


def test_the_counter_wraps_within_its_four_bytes() -> None:
    """It never touches the rest of the entropy."""
    seed = Seed(NOW, bytes(6) + b"\xff" * 4)
    assert ulid_number(seed.id_at(0)) == NOW << 80


def test_a_seed_is_read_as_sdks_write_it() -> None:
    """Milliseconds, a comma, base64 of ten bytes."""
    entropy = bytes(range(10))
    assert parse_seed(f"{NOW},{b64encode(entropy).decode()}") == Seed(NOW, entropy)
    assert parse_seed(f"{NOW},{b64encode(entropy).decode().rstrip('=')}") == Seed(NOW, entropy)


@pytest.mark.parametrize(
    "header",
    ["", ",", "5", "x,AAAAAAAAAAAAAA==", "-5,AAAAAAAAAAAAAA==", "5,AAAA", "5,!!!!", "9" * 16 + ",AAAAAAAAAAAAAA=="],
)
def test_a_broken_seed_is_refused(header: str) -> None:
    """A sender that relies on its seed must hear that it does not work."""
    with pytest.raises(InvalidInput, match="x-inngest-event-id-seed"):
        parse_seed(header)


SENT_BY_SDKS = {
    "python": [{"name": "a/b", "data": {"n": 1}, "ts": NOW}, {"name": "a/c", "data": {}, "ts": NOW}],
    "typescript": [{"name": "a/b", "data": {"n": 1}, "ts": NOW}, {"name": "a/c", "data": {}, "ts": NOW, "id": "own"}],
    "go": [{"name": "a/b", "data": {"n": 1}, "user": None}, {"name": "a/c", "data": None, "ts": NOW, "v": "1"}],
}


@pytest.mark.parametrize("sdk", SENT_BY_SDKS)
def test_a_repeated_sending_step_starts_the_same_runs(sdk: str) -> None:
    """A step that sends events repeats its POST, with its seed, until it hears an answer: nothing starts twice."""
    seed = parse_seed(f"{NOW},{b64encode(bytes(range(10))).decode()}")
    body = json.dumps(SENT_BY_SDKS[sdk]).encode()
    first, again = (read_events(body, seed, NOW + delay) for delay in (0, 30_000))
    assert first.error is None
    assert [event.internal_id for event in first.events] == [event.internal_id for event in again.events]
    key = FunctionKey("app/f")
    runs = [[start_run(key, event, "{}", -1) for event in read.events] for read in (first, again)]
    for start, repeated in zip(*runs, strict=True):
        assert start.event_ids == repeated.event_ids
        assert start.dedupe_key == repeated.dedupe_key
        assert start.run_id == repeated.run_id or start.dedupe_key == "own"


def test_the_python_sdks_own_seed_and_event_are_read() -> None:
    """As the installed package makes them."""
    sent = inngest.Event(name="a/b", data={"n": 1}).to_dict()
    assert isinstance(sent, dict)
    read = read_events(json.dumps([sent]).encode(), parse_seed(python_seed()), NOW)
    assert read.error is None
    (event,) = read.events
    assert (event.name, event.data, event.id, event.ts) == ("a/b", '{"n":1}', "", NOW)


INVOKED_KEY = FunctionKey("shop/import")


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b'{"data": null, "user": null}'])
def test_an_invocation_needs_no_body(body: bytes) -> None:
    """The event says which function it is for, and nothing else."""
    event = read_invocation(body, SEED.id_of_invocation(), INVOKED_KEY, NOW)
    assert event.name == INVOKED
    assert json.loads(event.data) == {"_inngest": {"fn_id": str(function_uuid(INVOKED_KEY))}}
    assert (event.internal_id, event.received_at, event.source) == (ulid(NOW, bytes(10)), NOW, "invoke")


def test_an_invocations_name_and_reserved_data_are_ours() -> None:
    """What the caller says there is replaced."""
    body = b'{"Name": "inngest/x", "data": {"n": 1, "_inngest": {"fn_id": "other"}}}'
    event = read_invocation(body, SEED.id_of_invocation(), INVOKED_KEY, NOW)
    assert event.name == INVOKED
    assert json.loads(event.data) == {"n": 1, "_inngest": {"fn_id": str(function_uuid(INVOKED_KEY))}}
