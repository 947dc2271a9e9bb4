"""Calls to user code over HTTP: one port, one fast client behind it.

A call ends in a `Reply`, whatever happens: an app that hangs, answers garbage or is away is an answer too, which the
run's rules then judge. Proxy variables of the environment are not followed: settings come from the settings only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import ConnectTimeoutError, DetailedPyreqwestError, NetworkError
from pyreqwest.response import Response

from ..exhaustion import end_if_out_of_memory
from ..messages.signature import canonical, sign
from ..runs.replies import MAX_RESPONSE_BYTES, Reply, parse_reply, response_too_large, unreachable
from ..settings import ExecutorSettings
from .bodies import read_body

CONNECT_SECONDS = 10
#: Shorter than the five seconds after which the usual app servers close an idle connection, so that no call meets
#: one that is just being closed.
IDLE_CONNECTION_SECONDS = 4
#: A connection found closed this soon after sending was closed before the app could read the request. The request is
#: sent once more at once: otherwise an app that ends its idle connections would cost runs an attempt now and then.
STALE_CONNECTION_SECONDS = 0.5
_STALE = ("connection closed before message completed", "Connection reset by peer", "Broken pipe")
MAX_REDIRECTS = 3
#: A larger body is brought into its signed form in a thread, so that the other calls do not wait for it.
SIGN_IN_THREAD_BYTES = 64 * 1024

#: Redirects after which the same request is sent again. 303 asks for a GET, which calls nothing.
_REDIRECTS = frozenset((301, 302, 307, 308))
_HEADERS = ("x-inngest-sdk", "x-inngest-req-version", "x-inngest-no-retry", "retry-after")


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One request to an app: the POST of `body` to `url`."""

    app: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class FunctionCaller(Protocol):
    """Calls user code; one implementation per runtime."""

    async def call(self, request: FunctionCall) -> Reply:
        """Make the call and tell how it ended. Never raises but when cancelled, which abandons the call.

        The app may have run the step even if the reply is a failure: steps run at least once.
        """

    async def close(self) -> None:
        """Release connections; calls that are under way end in failures."""


class HttpCaller:
    """Calls apps that are served over HTTP. Keeps connections alive, per host, for the calls that follow."""

    def __init__(self, settings: ExecutorSettings, clock: Callable[[], float] = time.time) -> None:
        self._signing_key = settings.signing_key
        self._timeout_seconds = settings.call_timeout_seconds
        self._clock = clock
        self._client = _client(settings.max_calls_per_app)

    async def call(self, request: FunctionCall) -> Reply:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._follow(await self._signed(request))
        except ConnectTimeoutError:
            return _failed(request, f"no connection within {CONNECT_SECONDS} seconds")
        except TimeoutError:
            return _failed(request, f"no answer within {self._timeout_seconds:g} seconds")
        except DetailedPyreqwestError as error:
            return _failed(request, _innermost(error))
        except Exception as error:  # a port that never raises: one odd URL must not stop the partition
            end_if_out_of_memory(error)
            return _failed(request, f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        await self._client.close()

    async def _signed(self, request: FunctionCall) -> FunctionCall:
        if not self._signing_key:
            return request
        large = len(request.body) > SIGN_IN_THREAD_BYTES
        body = await asyncio.to_thread(canonical, request.body) if large else canonical(request.body)
        signature = sign(self._signing_key, body, int(self._clock()))
        headers = {**request.headers, "x-inngest-signature": signature}
        return FunctionCall(request.app, request.url, headers, body)

    async def _follow(self, request: FunctionCall) -> Reply:
        """Send the request, and again to where the app sends us, method and body kept."""
        url = request.url
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._send_on_live_connection(url, request)
            if not isinstance(answer, str):
                return answer
            if not _may_follow(url, answer):
                return _failed(request, f"it redirects to {_address(answer)}, which is no place to follow it to")
            url = answer
        return _failed(request, f"more than {MAX_REDIRECTS} redirects, the last to {_address(url)}")

    async def _send_on_live_connection(self, url: str, request: FunctionCall) -> Reply | str:
        now = asyncio.get_running_loop().time
        give_up = now() + STALE_CONNECTION_SECONDS
        try:
            return await self._send(url, request)
        except NetworkError as error:
            # An app whose answer had begun has done the work: to call it again is for the run's rules to count.
            if now() > give_up or _is_of_a_body(error) or not _innermost(error).startswith(_STALE):
                raise
        return await self._send(url, request)

    async def _send(self, url: str, request: FunctionCall) -> Reply | str:
        """The reply, or the URL to which the app sends us."""
        builder = self._client.post(url).headers(request.headers).body_bytes(request.body)
        async with builder.build_streamed() as response:
            location = _header(response, "location") if response.status in _REDIRECTS else None
            if location:
                return urljoin(url, location)
            body = await read_body(response, MAX_RESPONSE_BYTES)
            if body is None:
                return response_too_large()
            return parse_reply(response.status, _headers(response), body, int(self._clock() * 1000))


def _client(connections_per_host: int) -> Client:
    return (
        ClientBuilder()
        .user_agent("penstock")
        .no_proxy()
        .follow_redirects(False)
        .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
        .pool_idle_timeout(timedelta(seconds=IDLE_CONNECTION_SECONDS))
        .pool_max_idle_per_host(connections_per_host)
        .build()
    )


def _headers(response: Response) -> dict[str, str]:
    return {name: value for name in _HEADERS if (value := _header(response, name)) is not None}


def _header(response: Response, name: str) -> str | None:
    try:
        return response.get_header(name)
    except ValueError:  # bytes that are no text
        return None


def _may_follow(source: str, target: str) -> bool:
    """Only to HTTP, and never from an encrypted connection to an open one."""
    scheme = urlsplit(target).scheme
    return scheme == "https" or (scheme == "http" and not source.lower().startswith("https:"))


def _failed(request: FunctionCall, why: str) -> Reply:
    return unreachable(f"calling app {request.app!r} at {_address(request.url)} failed: {why}")


def _address(url: str) -> str:
    """The URL without credentials and query, for people."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]
    except ValueError:
        return repr(url[:200])


def _is_of_a_body(error: DetailedPyreqwestError) -> bool:
    return any("reading a body" in cause["message"] for cause in error.details.get("causes") or ())


def _innermost(error: DetailedPyreqwestError) -> str:
    causes = error.details.get("causes") or []
    return causes[-1]["message"] if causes else error.message
