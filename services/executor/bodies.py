"""Bodies of answers, read no further than they may be long."""

from __future__ import annotations

from pyreqwest.response import Response


async def read_body(response: Response, most: int) -> bytes | None:
    """The body, unpacked; None as soon as it is longer than `most` bytes."""
    chunks: list[bytes] = []
    size = 0
    while (chunk := await response.body_reader.read_chunk()) is not None:
        size += len(chunk)
        if size > most:
            return None
        chunks.append(bytes(chunk))
    return b"".join(chunks)
