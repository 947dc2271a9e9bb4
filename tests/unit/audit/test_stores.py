"""Local stores are found below data directories."""

from __future__ import annotations

from pathlib import Path

from penstock.audit.stores import stores_of
from penstock.state.rocks import RocksStore


def test_the_store_that_is_furthest_behind_comes_first(tmp_path: Path) -> None:
    """So that one pass over the topic meets each at its own offset; folders without the partition have none.
    A store's own keys come before the others."""
    for name, offset in (("a", 9), ("b", 4)):
        partition = RocksStore(tmp_path / name / "state" / "t").open(1)
        partition.apply([(b"k", name.encode()), (b"\0t", b"")], offset, 0)
        partition.close()
    found = stores_of([tmp_path / "a", tmp_path / "b", tmp_path / "c"], "t.", "state", 1)
    assert [store.offset for store in found] == [4, 9]
    assert [list(store.pairs) for store in found] == [[(b"\0t", b""), (b"k", value)] for value in (b"b", b"a")]
    assert stores_of([tmp_path / "a"], "t.", "waits", 1) == []


def test_a_store_that_was_never_finished_holds_nothing(tmp_path: Path) -> None:
    """Its owner was killed while RocksDB was making it; the next owner makes it anew."""
    whole = RocksStore(tmp_path / "a" / "waits" / "t").open(0)
    whole.apply([(b"k", b"v")], 3, 0)
    whole.close()
    RocksStore(tmp_path / "b" / "waits" / "t").open(0).close()
    (tmp_path / "b" / "waits" / "t" / "partition-0" / "CURRENT").unlink()
    assert [store.offset for store in stores_of([tmp_path / "a", tmp_path / "b"], "t.", "waits", 0)] == [3]
