"""Registration bodies: read from any SDK, bounded, refused with function and key."""

from __future__ import annotations

import json

import pytest

from penstock.errors import InvalidRegistration
from penstock.functions.config import CronTrigger, EventTrigger
from penstock.functions.registration import function_key, parse_in_band, parse_registration
from tests.unit.functions.bodies import URL, body, compiles, function


def refusal(sent: bytes) -> str:
    """Why a body is refused."""
    with pytest.raises(InvalidRegistration) as refused:
        parse_registration(sent, compiles)
    return str(refused.value)


def test_reads_what_the_python_sdk_sends() -> None:
    """App, address and functions arrive; retries are the calls after the first."""
    registration = parse_registration(body(function()), compiles)
    assert (registration.app, registration.url, registration.sdk) == ("shop", URL, "py:v0.5.0")
    (config,) = registration.functions
    assert config.key == "shop/shop-import"
    assert config.url == f"{URL}?fnId=shop-import&stepId=step"
    assert config.triggers == (EventTrigger("shop/a"),)
    assert config.retries == 2


def test_keys_are_matched_in_any_case_and_nulls_are_unset() -> None:
    """SDKs spell keys their own way and send null for what is not set."""
    sent = json.loads(body(function(Triggers=None, triggers=[{"EVENT": "a/b", "Expression": None}])))
    sent = {key.upper(): value for key, value in sent.items()} | {"deployId": None}
    (config,) = parse_registration(json.dumps(sent).encode(), compiles).functions
    assert config.triggers == (EventTrigger("a/b"),)


def test_values_keep_their_case() -> None:
    """Only keys are matched without case: names and expressions are the user's."""
    (config,) = parse_registration(
        body(function("Shop-Import", triggers=[{"event": "A/b", "expression": "event.data.UserId == 1"}])), compiles
    ).functions
    assert config.slug == "Shop-Import"
    assert config.triggers == (EventTrigger("A/b", "event.data.UserId == 1"),)


@pytest.mark.parametrize(
    ("step", "retries", "expected"),
    [({"attempts": 0}, 7, 0), (None, 7, 7), (None, None, 4), ({"attempts": 20}, None, 20)],
)
def test_retries_come_from_the_step_then_the_function_then_the_default(
    step: object, retries: int | None, expected: int
) -> None:
    """`steps.step.retries.attempts` wins over `retries`, which wins over four."""
    sent = function(steps={"step": {"runtime": {"url": URL}, "retries": step}}, retries=retries)
    assert parse_registration(body(sent), compiles).functions[0].retries == expected


def test_a_function_without_name_is_called_by_its_id() -> None:
    """A display name is never missing."""
    assert parse_registration(body(function(name=None)), compiles).functions[0].name == "shop-import"


def test_cron_triggers_are_kept_as_registered() -> None:
    """Zone and jitter stay in the trigger for the clock to read."""
    sent = function(triggers=[{"cron": "TZ=Europe/Rome 0 9 * * *", "jitter": "30s"}])
    assert parse_registration(body(sent), compiles).functions[0].triggers == (
        CronTrigger("TZ=Europe/Rome 0 9 * * *", "30s"),
    )


def test_no_functions_is_an_app_without_functions() -> None:
    """Null and an empty list say the same; a missing key says nothing and is refused."""
    assert parse_registration(body(functions=None), compiles).functions == ()
    assert parse_registration(body(functions=[]), compiles).functions == ()
    without = json.loads(body())
    del without["functions"]
    assert "functions" in refusal(json.dumps(without).encode())


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"[" * 2000, "not JSON"),
        (body(appname=None), "appName"),
        (body(appname="  "), "appName"),
        (body(appname="a\nb"), "appName"),
        (body(appname="x" * 256), "appName"),
        (body(url="127.0.0.1/api"), "url"),
        (body(url="file:///etc/passwd"), "url"),
        (body(url="http://[::1"), "url"),
        (body(functions="none"), "functions"),
        (body("none"), "functions.0"),
        (body(*[function(f"f{n}") for n in range(1001)]), "at most 1000"),
        (body(function(), function()), "registered 2 times"),
        (body(custom=json.loads("[" * 60 + "0" + "]" * 60)), "nested deeper"),
        (body(sdk="js:v3.30.1"), "vulnerability"),
    ],
)
def test_a_broken_body_is_refused(sent: bytes, reason: str) -> None:
    """Whatever is wrong with the registration as a whole is named."""
    assert reason in refusal(sent)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"steps": {}}, "steps"),
        ({"steps": {"a": {"runtime": {"url": URL}}, "b": {"runtime": {"url": URL}}}}, "at most 1"),
        ({"steps": {"step": {}}}, "runtime"),
        ({"steps": {"step": {"runtime": {"url": "nowhere"}}}}, "runtime.url"),
        ({"steps": {"step": {"runtime": {"url": URL, "type": "carrier pigeon"}}}}, "runtime.type"),
        ({"steps": {"step": {"runtime": {"url": URL}, "retries": {"attempts": 21}}}}, "retries.attempts"),
        ({"steps": {"step": {"runtime": {"url": URL}, "retries": {"attempts": -1}}}}, "retries.attempts"),
        ({"retries": 21}, "retries"),
        ({"triggers": [{"event": f"e{n}"} for n in range(11)]}, "at most 10"),
        ({"triggers": [{"event": "a"}, {"event": "a"}]}, "twice"),
        ({"triggers": [{}]}, "needs an event or a cron"),
        ({"triggers": [{"event": "a", "cron": "* * * * *"}]}, "either event or cron"),
        ({"triggers": [{"event": "a*"}]}, "wildcard"),
        ({"triggers": [{"event": "*"}]}, "wildcard"),
        ({"triggers": [{"event": "a/*/b"}]}, "wildcard"),
        ({"triggers": [{"event": "x" * 256}]}, "255"),
        ({"triggers": [{"event": "a", "expression": "broken"}]}, "does not compile: broken, as it says"),
        ({"triggers": [{"cron": "every day"}]}, "cron"),
        ({"triggers": [{"cron": "0 9 * * *", "jitter": "6m"}]}, "jitter"),
        ({"triggers": [{"cron": "0 9 * * *", "jitter": "soon"}]}, "not a duration"),
    ],
)
def test_a_broken_function_is_refused_by_name(changes: dict[str, object], reason: str) -> None:
    """The message names the function and the key that is wrong."""
    message = refusal(body(function() | changes))
    assert message.startswith("function ")
    assert reason in message


@pytest.mark.parametrize("event", ["a/*", "a.*", "a/b.*"])
def test_a_wildcard_may_stand_at_the_end(event: str) -> None:
    """After a slash or a dot, and nowhere else."""
    sent = function(triggers=[{"event": event}])
    assert parse_registration(body(sent), compiles).functions[0].triggers == (EventTrigger(event),)


@pytest.mark.parametrize("sdk", ["js:v3.21.9", "js:v3.54.0", "js:v4.0.0", "py:v3.30.0", "js:beta", ""])
def test_safe_sdks_are_welcome(sdk: str) -> None:
    """Only the releases with the known hole are refused."""
    assert parse_registration(body(function(), sdk=sdk), compiles).sdk == sdk


def test_equal_functions_have_equal_checksums() -> None:
    """Neither order nor spelling nor the SDK's release changes a checksum; a setting does."""
    one = parse_registration(body(function("a"), function("b", throttle=None)), compiles)
    other = parse_registration(body(function("b"), function("a"), sdk="py:v0.6.0"), compiles)
    changed = parse_registration(body(function("a"), function("b", retries=1, steps=function()["steps"])), compiles)
    assert one.checksum == other.checksum
    assert one.checksum != changed.checksum


def test_keys_of_functions_cannot_be_mistaken() -> None:
    """A slash in an app's name does not make its functions another app's."""
    assert function_key("a/b", "c") != function_key("a", "b/c")


def test_reads_an_in_band_answer() -> None:
    """An app that answers in band says the same under other keys."""
    sent = {
        "app_id": "shop",
        "env": None,
        "framework": "fast_api",
        "functions": [function()],
        "inspection": {"mode": "cloud"},
        "sdk_language": "py",
        "sdk_version": "0.5.0",
        "url": URL,
    }
    in_band = parse_in_band(json.dumps(sent).encode(), compiles)
    assert in_band == parse_registration(body(function()), compiles)


def test_an_in_band_answer_with_a_long_sdk_is_refused_by_name() -> None:
    """Language and version are each bounded, so that together they fit."""
    said = json.loads(body(function()))
    answer = {"app_id": "shop", "url": URL, "functions": said["functions"], "sdk_language": "x" * 200}
    with pytest.raises(InvalidRegistration, match="sdk_language"):
        parse_in_band(json.dumps(answer).encode(), compiles)


@pytest.mark.parametrize("port", ["0", "70000", "x"])
def test_a_port_that_nobody_listens_on_is_refused(port: str) -> None:
    """When the app registers, not with every call of it."""
    said = json.loads(body(function())) | {"url": f"http://127.0.0.1:{port}/api/inngest"}
    assert "absolute URL" in refusal(json.dumps(said).encode())
