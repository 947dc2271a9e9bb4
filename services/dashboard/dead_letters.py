"""Dead letters: what could not be used, why, and sending it again, as it lay or repaired."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ..errors import InvalidInput
from ..history.dead_letter_list import DeadLetterFilter
from ..history.paging import PageRequest
from ..history.read import Found
from ..messages.ids import is_ulid
from .desk import Desk, NotFound, back
from .forms import read_form
from .guard import RAW_HEADERS
from .search import PAGE, PERIODS, link, older_link, search

SHOWN_BYTES = 16 * 1024
MAX_REPAIRED_CHARACTERS = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DeadLettersView:
    """`/dead-letters` and `/dead-letters/{id}`."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        route = self.desk.route
        return [
            route("/dead-letters", self.all),
            route("/dead-letters/{letter}", self.show),
            route("/dead-letters/{letter}/value", self.value),
            route("/dead-letters/{letter}/resend", self.resend, "POST"),
        ]

    async def all(self, request: Request) -> Response:
        wanted = search(request.query_params, self.desk.now())
        filters = DeadLetterFilter(
            topic=request.query_params.get("topic", ""), text=wanted.query, since=wanted.since, until=wanted.until
        )
        page = PageRequest(limit=PAGE, cursor=wanted.cursor)
        listed = await self.desk.read(self.desk.history.dead_letters.page, filters, page)
        pairs = request.query_params.multi_items()
        return self.desk.page(
            request,
            "dead_letters.html",
            wanted=wanted,
            rows=listed.rows,
            periods=PERIODS,
            older=older_link("/dead-letters", request, listed),
            newest=link("/dead-letters", pairs, cursor=""),
        )

    async def show(self, request: Request) -> Response:
        letter = await self._letter(request)
        value: bytes | None = letter.value
        return self.desk.page(
            request,
            "dead_letter.html",
            letter=letter,
            key=(letter.key or b"").decode("utf-8", "replace"),
            text=readable(value),
            dump=hexdump((value or b"")[:SHOWN_BYTES]),
            size=len(value or b""),
            cut=len(value or b"") > SHOWN_BYTES,
            headers=headers(letter.headers),
            problem="",
            repaired=None,
        )

    async def value(self, request: Request) -> Response:
        """The whole value, byte by byte, as a file."""
        letter = await self._letter(request)
        named = {"content-disposition": f'attachment; filename="dead-letter-{letter.id}.bin"'}
        return Response(letter.value or b"", media_type="application/octet-stream", headers=RAW_HEADERS | named)

    async def resend(self, request: Request) -> Response:
        letter = await self._letter(request)
        form = await read_form(request, 3 * MAX_REPAIRED_CHARACTERS)
        content = {"value": form["value"]} if "value" in form else {}
        answer = await self.desk.api.ask("POST", f"/v1/dead-letters/{letter.id}/resend", content)
        if not answer.good:
            return back(f"/dead-letters/{letter.id}", answer.error, bad=True)
        return back(f"/dead-letters/{letter.id}", f"It was sent to {answer.data['topic']} again.")

    async def _letter(self, request: Request) -> Found:
        letter = request.path_params["letter"]
        if not is_ulid(letter):
            raise InvalidInput(f"a dead letter's id has 26 characters; {letter[:40]!r} is none")
        row = await self.desk.read(self.desk.history.dead_letters.one, letter)
        if row is None:
            raise NotFound(f"no dead letter has the id {letter}; Dead letters lists those that are kept")
        return row


def readable(value: bytes | None) -> str | None:
    """The value as text; None when it is none, or too long to be repaired by hand."""
    if value is None or len(value) > 1024 * 1024:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() or not any(ord(c) < 32 and c not in "\t\r\n" for c in text) else None


def hexdump(value: bytes) -> str:
    """Offset, bytes and letters, sixteen a line."""
    rows = []
    for at in range(0, len(value), 16):
        part = value[at : at + 16]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in part)
        rows.append(f"{at:06x}  {part.hex(' '):<47}  {letters}")
    return "\n".join(rows)


def headers(text: str | None) -> list[tuple[str, str]]:
    """The record's headers, as text where they are."""
    found = orjson.loads(text or "{}")
    return [(name, base64.b64decode(value).decode("utf-8", "replace")) for name, value in found.items()]
