"""Which events are pulled, what they look like, and where they may go."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from penstock.cli.exit_codes import Refused
from penstock.cli.progress import progress
from penstock.cli.pulling import Source, Wish, event_body, pull, require_dev
from penstock.cli.server import Server
from penstock.messages.records import Event
from penstock.settings import ClientSettings, KafkaSettings

from .api import Api

EVENT = Event("shop/order", '{"n": 1}', internal_id="01E", ts=5, received_at=6)


def server(api: Api) -> Server:
    return Server(ClientSettings(url="http://penstock"), httpx.MockTransport(api))


class Given(Source):
    """A source whose events are given."""

    def events(self) -> Iterator[Event]:
        for _ in range(250):
            self.counts.read += 1
            yield EVENT


def test_names_and_times_decide() -> None:
    """No name is every name; times include their begin and exclude their end."""
    assert Wish((), 0, 0, 0).covers(EVENT, 1)
    assert Wish(("shop/*",), 0, 0, 0).covers(EVENT, 1)
    assert not Wish(("shop", "mail/*"), 0, 0, 0).covers(EVENT, 1)
    assert [Wish((), 5, 7, 0).covers(EVENT, at) for at in (4, 5, 6, 7)] == [False, True, True, False]


def test_an_event_keeps_its_id_or_gets_the_sources() -> None:
    """So that pulling it twice starts nothing twice."""
    assert event_body(EVENT) == {"name": "shop/order", "id": "01E", "data": {"n": 1}, "ts": 5}
    own = Event("a", "{}", id="o1", user='{"id": "u"}', v="2", internal_id="01E", ts=5)
    assert event_body(own) == {"name": "a", "id": "o1", "data": {}, "ts": 5, "user": {"id": "u"}, "v": "2"}


def test_what_is_redacted_is_what_is_sent() -> None:
    """In portions, each after its pace; what the hook leaves out is counted."""
    api = Api({"POST /e/cli": (200, {"ids": ["x"] * 100})})
    paced: list[int] = []
    seen = iter(range(1000))

    def redact(event: dict[str, object]) -> dict[str, object] | None:
        return {"name": "clean"} if next(seen) % 5 else None

    with progress("pulling", quiet=True) as bar:
        counts = pull(Given(KafkaSettings(), Wish((), 0, 0, 0)), server(api), redact, bar, paced.append)
    assert (counts.read, counts.left_out, paced) == (250, 50, [100, 100])
    assert all(event == {"name": "clean"} for body in api.bodies() for event in body)


def test_only_a_dev_server_takes_them() -> None:
    """Another one would start functions for others."""
    require_dev(server(Api({"GET /": (200, {"mode": "dev"})})))
    with pytest.raises(Refused, match="--into-any"):
        require_dev(server(Api({"GET /": (200, {"mode": "cloud"})})))
