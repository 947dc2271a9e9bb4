"""The HTTP API as the command line uses it: one request, one answer or an error that says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TypeAlias, cast
from urllib.parse import quote

import httpx
import orjson

from ..errors import Unavailable
from ..runs.gateway import shown_url
from ..settings import ClientSettings
from .exit_codes import NotFound, Refused

Json: TypeAlias = Mapping[str, object]
Query: TypeAlias = Mapping[str, "str | int | bool | None"]
PAGE = 100


class Server:
    """A running Penstock. Close it, or use it in a `with` statement."""

    def __init__(self, settings: ClientSettings, transport: httpx.BaseTransport | None = None) -> None:
        #: As people may see it: the setting may hold credentials.
        self.url = shown_url(settings.url).rstrip("/") or "the server"
        self._settings = settings
        headers = {"authorization": f"Bearer {settings.signing_key}"} if settings.signing_key else {}
        self._client = httpx.Client(
            base_url=settings.url.rstrip("/"),
            headers=headers,
            timeout=settings.client_timeout_seconds,
            trust_env=False,
            transport=transport,
        )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, query: Query | None = None) -> Json:
        """The `data` of the answer, which is one object."""
        return cast(Json, self._request("GET", path, query)["data"])

    def rows(self, path: str, query: Query, limit: int) -> Iterator[Json]:
        """At most `limit` items of a list, page after page."""
        cursor: str | None = None
        while limit > 0:
            asked = min(limit, PAGE)
            answer = self._request("GET", path, {**query, "limit": asked, "cursor": cursor})
            found = cast(list[Json], answer["data"])
            yield from found[:limit]
            limit -= len(found)
            cursor = _next_cursor(answer)
            if not cursor:
                return

    def whole(self, path: str, query: Query | None = None) -> list[Json]:
        """A list that comes in one piece."""
        answer = self._request("GET", path, query)
        return cast(list[Json], answer["data"] if isinstance(answer, dict) else answer)

    def post(self, path: str, body: object = None) -> Json:
        """The `data` of the answer."""
        return cast(Json, self._request("POST", path, None, {} if body is None else body).get("data") or {})

    def delete(self, path: str) -> None:
        self._request("DELETE", path, None)

    def send_events(self, events: Sequence[Json]) -> list[str]:
        """Ids of the events, which are on Kafka when this returns."""
        key = quote(self._settings.event_key or "cli", safe="")
        return [str(each) for each in cast(list[object], self._request("POST", f"/e/{key}", None, events)["ids"])]

    def describe(self) -> Json:
        """What it says about itself: name, version, mode."""
        return self._request("GET", "/", None)

    def answers(self) -> str | None:
        """None when the server is there and well, else what it says."""
        try:
            self._request("GET", "/health", None)
        except (Unavailable, Refused, NotFound) as error:
            return str(error)
        return None

    def clock_difference(self) -> float:
        """Seconds by which the server's clock is ahead of this machine's, to within a second or so."""
        began = time.time()
        try:
            told = self._client.get("/health").headers.get("date", "")
        except httpx.TransportError as error:
            raise Unavailable(f"no Penstock answers at {self.url} ({error})") from error
        if not told:
            return 0.0
        return parsedate_to_datetime(told).timestamp() - (began + time.time()) / 2

    def _request(self, method: str, path: str, query: Query | None, body: object = None) -> Json:
        given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        content = None if body is None else orjson.dumps(body)
        try:
            response = self._client.request(
                method, path, params=given, content=content, headers={"content-type": "application/json"}
            )
        except httpx.TimeoutException as error:
            raise Unavailable(f"{self.url} did not answer in time; try again") from error
        except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Unavailable(
                f"no Penstock answers at {self.url}: start one with `penstock dev`, or name another with --url or "
                f"PENSTOCK_URL ({error})"
            ) from error
        return _answer(response, f"{method} {path}")


def _answer(response: httpx.Response, what: str) -> Json:
    if response.is_success:
        return _decoded(response)
    body = _decoded(response)
    words = str(body.get("error") or f"{what} was answered with {response.status_code}")
    if response.status_code == 401:
        raise Refused(f"{words}: set PENSTOCK_SIGNING_KEY (for events PENSTOCK_EVENT_KEY), or --key")
    if response.status_code == 404:
        raise NotFound(words)
    if response.status_code in (429, 502, 503, 504) or response.status_code >= 500:
        raise Unavailable(words)
    raise Refused(words)


def _decoded(response: httpx.Response) -> Json:
    try:
        found = orjson.loads(response.content or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return cast(Json, found) if isinstance(found, dict) else {"data": found}


def _next_cursor(answer: Json) -> str | None:
    metadata = answer.get("metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, Mapping) else None
    return str(cursor) if cursor else None


OpenServer = Callable[[ClientSettings], Server]
