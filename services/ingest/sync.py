"""Apps synced by the server: a PUT to each, again and again, so that a changed or restarted app needs nobody's hand.

An app answers a PUT in one of two ways: it posts its functions to `/fn/register` and says how that went, or, where
both sides have a signing key, it puts them into its answer (in band).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import orjson

from ..errors import InvalidInput, PenstockError
from ..expressions.expression import compile_expression
from ..functions.registration import parse_in_band
from ..functions.sync import same_place
from ..messages.signature import canonical, sign
from ..runs.gateway import shown_url
from ..settings import ServerSettings
from .registrar import Registrar

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_AT_ONCE = 16
#: An app that comes and goes changes its record this often at most.
RECORD_FAILURE_SECONDS = 30.0
SYNC_KIND = "x-inngest-sync-kind"
IN_BAND = "in_band"


class SyncFailed(PenstockError):
    """An app did not answer a sync as it should; the message is for its developer."""

    retryable = True


@dataclass(slots=True)
class _Progress:
    """What is remembered of one URL between rounds."""

    running: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no sync is under way, once there has been one."""
    error: str | None = None
    recorded_at: float = field(default=float("-inf"))
    last_body: bytes = b""


class AppSync:
    """Keeps apps registered: those of the settings and, in dev, every registered and discovered one."""

    def __init__(
        self,
        settings: ServerSettings,
        registrar: Registrar,
        client: httpx.AsyncClient,
        now: Callable[[], int],
        discover: Callable[[], AsyncIterator[str]] | None = None,
    ) -> None:
        self._settings = settings
        self._registrar = registrar
        self._client = client
        self._now = now
        self._discover = discover
        self._given = [url.strip() for url in settings.app_urls.split(",") if url.strip()]
        self._progress: dict[str, _Progress] = {}
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def run(self) -> None:
        """Sync round after round, until cancelled. An app that hangs does not hold up the others' next round."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for url in self.urls():
                    tasks.create_task(self.sync(url))
                if self._discover is not None:
                    tasks.create_task(self._sync_discovered(self._discover))
                await asyncio.sleep(self._settings.app_poll_seconds)

    def urls(self) -> list[str]:
        """The apps of the next round, each once."""
        found = list(self._given)
        if self._settings.mode == "dev":
            found += [app.url for app in self._registrar.table.apps() if app.url.startswith("http")]
        return [url for place, url in enumerate(found) if not any(same_place(url, u) for u in found[:place])]

    async def sync(self, url: str) -> None:
        """One sync of one app; nothing while the one before is still running. Failures are told, not raised."""
        progress = self._progress.setdefault(url, _Progress())
        if progress.running:
            return
        progress.running = True
        progress.idle.clear()
        try:
            async with self._slots:
                await self._sync(url, progress)
            self._succeeded(url, progress)
        except PenstockError as error:
            await self._failed(url, progress, str(error))
        except Exception:
            log.exception("syncing %s failed", shown_url(url))
            progress.error = "the server failed on the app's answer; its log says why"
        finally:
            progress.running = False
            progress.idle.set()

    async def sync_now(self, url: str) -> str | None:
        """One sync of one app at somebody's wish; what went wrong, if anything. Shares one that is under way."""
        progress = self._progress.setdefault(url, _Progress())
        if not progress.running:
            progress.recorded_at = float("-inf")
            await self.sync(url)
            return progress.error
        try:
            async with asyncio.timeout(ANSWER_SECONDS + 5):
                await progress.idle.wait()
        except TimeoutError:
            return "the sync that is under way takes too long; look at the app, and ask again"
        return progress.error

    async def _sync_discovered(self, discover: Callable[[], AsyncIterator[str]]) -> None:
        async for url in discover():
            await self.sync(url)

    async def _sync(self, url: str, progress: _Progress) -> None:
        body = canonical(orjson.dumps({"url": url}))
        async with _readable(self._client, url, self._headers(body), body) as response:
            answer = await _bounded(response)
            if not response.is_success:
                raise SyncFailed(f"the app answered {response.status_code}: {_message(answer)}")
            if response.headers.get(SYNC_KIND) == IN_BAND:
                await self._register(url, answer, progress)

    async def _register(self, url: str, answer: bytes, progress: _Progress) -> None:
        clean = all(app.error is None for app in self._registrar.apps_at(url))
        if answer == progress.last_body and clean and self._registrar.apps_at(url):
            return
        try:
            wanted = await asyncio.to_thread(parse_in_band, answer, compile_expression)
        except InvalidInput as error:
            raise SyncFailed(str(error)) from error
        await self._registrar.register(wanted)
        progress.last_body = answer

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "x-inngest-server-kind": self._settings.mode,
        }
        if self._settings.signing_key:
            headers["x-inngest-signature"] = sign(self._settings.signing_key, body, self._now() // 1000)
            headers[SYNC_KIND] = IN_BAND
        return headers

    def _succeeded(self, url: str, progress: _Progress) -> None:
        if progress.error is not None:
            log.info("synced %s again", shown_url(url))
        progress.error = None

    async def _failed(self, url: str, progress: _Progress, error: str) -> None:
        if error != progress.error:
            log.warning("cannot sync %s: %s", shown_url(url), error)
        progress.error = error
        if time.monotonic() - progress.recorded_at < RECORD_FAILURE_SECONDS:
            return
        try:
            await self._registrar.sync_failed(url, error)
            progress.recorded_at = time.monotonic()
        except PenstockError as unwritten:
            log.warning("the failed sync of %s could not be recorded: %s", shown_url(url), unwritten)


@asynccontextmanager
async def _readable(
    client: httpx.AsyncClient, url: str, headers: dict[str, str], body: bytes
) -> AsyncIterator[httpx.Response]:
    try:
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            client.stream("PUT", url, headers=headers, content=body) as response,
        ):
            yield response
    except TimeoutError as error:
        raise SyncFailed(f"the app did not answer within {ANSWER_SECONDS:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SyncFailed(f"the app cannot be reached: {type(error).__name__}: {error}"[:300]) from error


async def _bounded(response: httpx.Response) -> bytes:
    """The answer as it came: it was not asked for packed, and unpacking has no bound."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise SyncFailed("the app's answer is compressed, which was not asked for (accept-encoding: identity)")
    answer = bytearray()
    async for chunk in response.aiter_bytes():
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            raise SyncFailed(f"the app's answer is larger than {MAX_ANSWER_BYTES} bytes")
    return bytes(answer)


def _message(answer: bytes) -> str:
    """What the app says went wrong, as its SDK words it."""
    try:
        said = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return answer[:200].decode("utf-8", "replace") or "no body"
    if isinstance(said, dict):
        said = said.get("message") or said.get("error") or said
    return str(said)[:200]
