"""What a page's form sends: fields as text, bounded before they are read."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from ..errors import InvalidInput, LimitExceeded

MAX_BYTES = 16 * 1024
MAX_FIELDS = 100


async def read_form(request: Request, max_bytes: int = MAX_BYTES) -> dict[str, str]:
    """The fields; of several with one name, the last. Raises `LimitExceeded` as soon as it is too much."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > max_bytes:
            raise LimitExceeded(f"the form is larger than {max_bytes // 1024} KB: send it by the API instead")
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidInput("the form cannot be read: open the page again") from error
