"""Requests to other people's servers, made for fetch and AI steps: one port, and rules about where they may go.

The address is written by a stranger, and this process sits inside somebody's network. So a name is resolved here,
every address is held against the rules, and the connection goes to the very address that was checked: a name that
resolves differently a moment later changes nothing. Redirects are answers like any other, never followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import ConnectError, ConnectTimeoutError, DetailedPyreqwestError
from pyreqwest.http import Url
from pyreqwest.response import Response

from ..exhaustion import end_if_out_of_memory
from ..runs.gateway import MAX_RESPONSE_BYTES, MIB, OutboundRequest
from ..runs.outcomes import NotSent, Outcome, Responded
from ..settings import ExecutorSettings
from .bodies import read_body

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10
RESOLVE_SECONDS = 10
#: Addresses of one name that are tried, as long as no connection was made.
MAX_ADDRESSES = 3
#: Building a client costs 8 ms (it reads the certificates), so those for the latest names are kept.
MAX_CLIENTS = 64

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str], Awaitable[list[Address]]]
"""The addresses of a host name, the preferred one first; `OSError` when there are none."""

#: Networks within which an IPv4 address hides, which the other side may unwrap.
_WRAPPING = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")))


class HttpSender:
    """Sends requests over HTTP, each on a connection of its own, to addresses that the settings allow.

    The server may have acted on a request whatever its outcome: a request is made at least once.
    """

    def __init__(self, settings: ExecutorSettings, resolve: Resolve | None = None) -> None:
        self._private_allowed = settings.private_addresses_allowed()
        self._timeout_seconds = settings.request_timeout_seconds
        self._resolve = resolve or resolve_host
        self._clients: OrderedDict[tuple[str, str], Client] = OrderedDict()

    async def send(self, request: OutboundRequest) -> Outcome:
        """Make the request and tell how it ended. Never raises but when cancelled, which abandons it."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._send(request)
        except TimeoutError:
            return NotSent(f"no answer within {self._timeout_seconds:g} seconds", retriable=True)
        except DetailedPyreqwestError as error:
            return NotSent(_why(error), retriable=True)
        except Exception as error:  # a port that never raises; what it says may hold the URL, hence its kind alone
            end_if_out_of_memory(error)
            log.warning("a request to %s failed: %s", request.host, type(error).__name__)
            return NotSent(f"it cannot be sent ({type(error).__name__})", retriable=False)

    async def close(self) -> None:
        """Let go of connections; requests that are under way end without an answer."""
        clients = [*self._clients.values()]
        self._clients.clear()
        for client in clients:
            await client.close()

    async def _send(self, request: OutboundRequest) -> Outcome:
        url = Url.parse(request.url)
        host = url.host_str
        if url.scheme not in ("http", "https") or not host:
            return NotSent("only http and https addresses can be asked", retriable=False)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                addresses = await self._addresses(host, url.domain is not None)
        except (OSError, TimeoutError):
            return NotSent(f"the name {host} cannot be resolved", retriable=True)
        refused = None if self._private_allowed else next((each for each in addresses if not is_public(each)), None)
        if refused is not None or not addresses:
            return NotSent(_refusal(host), retriable=False)
        return await self._send_to_first(request, url, host, addresses[:MAX_ADDRESSES])

    async def _addresses(self, host: str, is_name: bool) -> list[Address]:
        return await self._resolve(host) if is_name else [ipaddress.ip_address(host.strip("[]"))]

    async def _send_to_first(self, request: OutboundRequest, url: Url, host: str, addresses: list[Address]) -> Outcome:
        """Send to the first address that takes a connection; once there was one, the request is not sent again."""
        for address in addresses[:-1]:
            try:
                return await self._send_to(request, url, host, address)
            except (ConnectError, ConnectTimeoutError):
                continue
        return await self._send_to(request, url, host, addresses[-1])

    async def _send_to(self, request: OutboundRequest, url: Url, host: str, address: Address) -> Outcome:
        client = await self._client(host, str(address))
        builder = client.request(request.method, url).headers(request.headers)
        if request.body:
            builder = builder.body_bytes(request.body)
        async with builder.build_streamed() as response:
            body = await read_body(response, MAX_RESPONSE_BYTES)
            if body is None:
                return NotSent(
                    f"the answer is larger than the {MAX_RESPONSE_BYTES // MIB} MiB allowed", retriable=False
                )
            return Responded(response.status, _headers(response), body)

    async def _client(self, host: str, address: str) -> Client:
        """A client that knows this one address for the host, so that it connects nowhere else."""
        key = (host, address)
        client = self._clients.get(key)
        if client is None:
            client = self._clients.setdefault(key, await asyncio.to_thread(_client, host, address))
        self._clients.move_to_end(key)
        if len(self._clients) > MAX_CLIENTS:
            # Not closed: a request may be under way. It lets go of its connections when that has ended.
            self._clients.popitem(last=False)
        return client


async def resolve_host(host: str) -> list[Address]:
    """Ask the system for a name's addresses."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(place[4][0]) for place in found))


def is_public(address: Address) -> bool:
    """True for what is reachable from anywhere and meant to be: no loopback, private, link-local, multicast,
    unspecified or reserved address, and no IPv6 address that stands for an IPv4 one."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    if address.is_site_local or address.teredo is not None:
        return False
    return not any(address in network for network in _WRAPPING)


def _refusal(host: str) -> str:
    return (
        f"{host} is not a public address, and this server asks only those; "
        "whoever runs it can allow others with PENSTOCK_OUTBOUND_PRIVATE_ADDRESSES=true"
    )


def _client(host: str, address: str) -> Client:
    builder = (
        ClientBuilder()
        .user_agent("penstock")
        .no_proxy()
        .follow_redirects(False)
        .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
        # No connection is kept: one that is closed while idle would cost an attempt, and these calls take long anyway.
        .pool_max_idle_per_host(0)
    )
    return builder.resolve(host, address, 0).build()


def _headers(response: Response) -> dict[str, str]:
    """Every header that is text; one that came several times is joined, as HTTP allows."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(response.headers.keys()):
        try:
            found[name.lower()] = ", ".join(response.get_header_all(name))
        except ValueError:  # bytes that are no text
            continue
    return found


def _why(error: DetailedPyreqwestError) -> str:
    """The innermost cause. The outer ones name the URL, and with it what may be secret."""
    if isinstance(error, ConnectTimeoutError):
        return f"no connection within {CONNECT_SECONDS} seconds"
    causes = error.details.get("causes") or []
    return causes[-1]["message"] if len(causes) > 1 else error.message
