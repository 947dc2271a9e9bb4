"""The checks of `penstock doctor`."""

from __future__ import annotations

import httpx

from penstock.cli import checks
from penstock.cli.checks import Finding
from penstock.cli.cluster import Lag, Topic
from penstock.cli.server import Server
from penstock.errors import Unavailable
from penstock.settings import ClientSettings, ExecutorSettings, KafkaSettings

from .api import Api

KAFKA = KafkaSettings(topic_prefix="p.")


def states(found: object) -> list[str]:
    return [each.state for each in found]  # type: ignore[attr-defined]


def test_each_wrong_topic_is_a_failure_with_its_remedy() -> None:
    """The remedy is what stands behind the colon."""
    found = list(checks.shapes(["topic a is missing: run `penstock topics create`"]))
    assert found == [Finding("fail", "topics", "topic a is missing", "run `penstock topics create`")]
    assert states(checks.shapes([])) == ["ok"]


def test_short_retention_is_a_warning() -> None:
    """A replay reaches no further back than the topic."""

    def events(ms: int) -> list[Topic]:
        return [Topic("p.events", 4, 1, 0, "delete", ms, 1)]

    assert states(checks.retention(events(3600_000), KAFKA, ExecutorSettings())) == ["warn", "ok"]
    assert states(checks.retention(events(-1), KAFKA, ExecutorSettings())) == ["ok", "ok"]


def test_a_service_without_a_process_is_a_failure() -> None:
    """It says which command starts it."""
    found = list(checks.services({"p.matcher": 2, "p.executor": 0}, KAFKA))
    assert [(each.check, each.state) for each in found] == [
        ("matcher", "ok"),
        ("executor", "fail"),
        ("replayer", "fail"),
    ]
    assert "penstock executor" in found[1].advice


def test_lag_is_judged_by_group() -> None:
    """Partitions of a group are summed."""

    def lag(group: str, behind: int) -> Lag:
        return Lag(group, "t", 0, 0, behind, "")

    found = checks.lags([lag("a", 600), lag("a", 600), lag("b", 5), lag("c", 200_000)])
    assert states(found) == ["warn", "ok", "fail"]


def test_clocks_must_agree() -> None:
    """To within what the header tells."""
    assert states(checks.clock(2.0)) == ["ok"]
    assert states(checks.clock(-60.0)) == ["warn"]


def test_history_must_have_the_newest_events() -> None:
    """An event that lies on Kafka and is not found is a failure."""
    asked = Server(ClientSettings(), httpx.MockTransport(Api({"GET /v1/events/known": {}})))
    assert states(checks.history(["known"], asked)) == ["ok"]
    assert states(checks.history(["known", "unknown"], asked)) == ["fail"]


def test_apps_with_errors_are_named() -> None:
    """Each with its last error."""
    asked = Server(ClientSettings(), httpx.MockTransport(Api({"GET /v1/apps": [{"name": "shop", "error": "gone"}]})))
    assert [(f.state, f.check, f.text) for f in checks.apps(asked)] == [("warn", "app shop", "gone")]
    none = Server(ClientSettings(), httpx.MockTransport(Api({"GET /v1/apps": []})))
    assert states(checks.apps(none)) == ["warn"]


def test_a_check_that_cannot_be_made_fails_and_the_rest_goes_on() -> None:
    """With the words of what is away."""

    def away() -> object:
        raise Unavailable("Kafka is away")

    assert checks._findings("lag", away) == (Finding("fail", "lag", "Kafka is away"),)  # type: ignore[arg-type]
