"""Records whose header names are not UTF-8 are read all the same.

Kafka lets a producer write any bytes as a header's name; aiokafka decodes names strictly while it unpacks a batch, and
one such record would end the matcher, at every start again. So the class by which aiokafka's fetcher takes a fetch
apart is replaced by one that reads such a batch a second time, slowly, with U+FFFD for what is no text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT, _OVERHEAD = 8, 12


def accept_any_header_names() -> None:
    """Make every aiokafka consumer of this process do so; calling it again changes nothing."""
    fetcher.MemoryRecords = FetchedBatches


class FetchedBatches:
    """The batches of one partition in one fetch, as aiokafka's `MemoryRecords` gives them."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = fetched
        self._strict = MemoryRecords(fetched)
        self._at = 0

    def size_in_bytes(self) -> int:
        return int(self._strict.size_in_bytes())

    def has_next(self) -> bool:
        return bool(self._strict.has_next())

    def next_batch(self) -> Batch | None:
        start = self._at
        length = int.from_bytes(self._fetched[start + _LENGTH_AT : start + _OVERHEAD], "big")
        self._at = start + _OVERHEAD + length
        batch = self._strict.next_batch()
        return None if batch is None else Batch(batch, self._fetched[start : self._at])


class Batch:
    """One batch: aiokafka's own, until a header's name in it turns out to be no text."""

    def __init__(self, strict: Any, content: bytes) -> None:
        self._strict = strict
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strict, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._strict))
        except UnicodeDecodeError:
            return iter(_LenientBatch(self._content))

    def __next__(self) -> Any:
        return next(self._strict)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = _LenientBytes(self._buffer)


class _LenientBytes(bytearray):
    """Bytes whose slices decode without an error."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _LenientSlice(found) if isinstance(place, slice) else found


class _LenientSlice(bytes):
    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, "replace")
