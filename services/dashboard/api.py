"""Actions go through the HTTP API, like anybody's: the pages can do nothing that a program could not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from ..errors import InvalidInput, Unavailable


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said."""

    status: int
    body: Any

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def data(self) -> Any:
        """What the envelope holds, or the whole body where there is none."""
        if isinstance(self.body, dict) and "data" in self.body:
            return self.body["data"]
        return self.body

    @property
    def error(self) -> str:
        """The API's own words for what went wrong."""
        if isinstance(self.body, dict):
            said = self.body.get("error") or self.body.get("message")
            if said:
                return str(said)
        return f"the API answered {self.status}"


class Api:
    """Asks the API in this process, without a network between; shows it the signing key."""

    def __init__(self, client: httpx.AsyncClient, event_key: str) -> None:
        self._client = client
        self._event_key = event_key

    async def ask(self, method: str, path: str, content: object = None) -> Answer:
        """Raises `Unavailable` when no answer comes in time, `InvalidInput` for what cannot be asked at all."""
        try:
            body = None if content is None else orjson.dumps(content)
        except orjson.JSONEncodeError as error:
            raise InvalidInput(f"this cannot be sent as JSON: {error}") from error
        headers = {"content-type": "application/json"} if body is not None else {}
        try:
            response = await self._client.request(method, path, content=body, headers=headers)
        except httpx.InvalidURL as error:
            raise InvalidInput(f"the API has no such address: {error}") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"the API does not answer: {error}; try again in a moment") from error
        return Answer(response.status_code, _decoded(response.content))

    async def send_event(self, event: object) -> Answer:
        return await self.ask("POST", f"/e/{self._event_key}", event)


def _decoded(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
