"""Header names that are no text do not stop the reading of a batch."""

from __future__ import annotations

import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from penstock.matcher.header_names import FetchedBatches


class NoText(str):
    """A header name that is written as bytes that are not UTF-8."""

    def encode(self, *_: object) -> bytes:
        return b"a\xff"


def batch(base_offset: int, names: list[str], compression: int) -> bytes:
    builder = _DefaultRecordBatchBuilderPy(
        magic=2,
        compression_type=compression,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 16,
    )
    for place, name in enumerate(names):
        builder.append(place, 1000 + place, b"key", b"value %d" % place, [(name, b"header"), ("other", None)])
    content = builder.build()
    content[:8] = base_offset.to_bytes(8, "big")
    return bytes(content)


@pytest.mark.parametrize("compression", [0, 1, 2, 3, 4])
def test_every_record_of_every_batch_is_read(compression: int) -> None:
    """Batches with such names, before and after others, give all their records with all that is in them."""
    fetched = b"".join(
        [
            batch(10, ["a", "b"], compression),
            batch(12, ["a", NoText("x"), "c"], compression),
            batch(15, ["d"], compression),
        ]
    )
    batches = FetchedBatches(fetched)
    assert batches.size_in_bytes() == len(fetched)
    read = []
    while batches.has_next():
        one = batches.next_batch()
        assert one is not None
        assert one.validate_crc()
        read += [(record.offset, record.timestamp, record.key, record.value, record.headers) for record in one]
        assert one.next_offset == read[-1][0] + 1
    names = ["a", "b", "a", "a\ufffd", "c", "d"]
    values = [b"value 0", b"value 1", b"value 0", b"value 1", b"value 2", b"value 0"]
    assert [tuple(row[4]) for row in read] == [((name, b"header"), ("other", None)) for name in names]
    assert [row[3] for row in read] == values
    assert [row[0] for row in read] == [10, 11, 12, 13, 14, 15]
    assert [row[1] for row in read] == [1000, 1001, 1000, 1001, 1002, 1000]
    assert {row[2] for row in read} == {b"key"}


def test_an_incomplete_last_batch_is_left_for_the_next_fetch() -> None:
    """Kafka may cut a fetch anywhere."""
    whole = batch(0, ["a"], 0)
    batches = FetchedBatches(whole + whole[:30])
    assert batches.next_batch() is not None
    assert not batches.has_next()
    assert batches.next_batch() is None
