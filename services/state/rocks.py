"""State in RocksDB: one database per partition, so that a partition can be emptied, moved and lost alone.

The changelog is the truth, so nothing here waits for the disk: a batch goes to the write-ahead log without fsync. A
killed process loses nothing; a machine that loses power comes back with an earlier state, whole and with its own
offset, because the pairs and the offset share one log. `docs/decisions/010-rocksdb-options.md` has the measurements.
"""

from __future__ import annotations

import logging
import shutil
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Never

from rocksdict import (
    AccessType,
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
)

from ..errors import Unavailable
from ..exhaustion import SIGNS_OF_A_FULL_DISK, explained
from .store import Change

log = logging.getLogger(__name__)

MIB = 1024 * 1024
#: Decompressed blocks, indexes and filters, for all partitions of the process together.
CACHE_BYTES = 16 * MIB
#: Changes not yet in sorted files, for all partitions together; one partition flushes at a quarter of it.
WRITE_BUFFER_BYTES = 16 * MIB

_APPLIED = b""
"""Key of offset and time: sorts before every other key, and no changelog record has it."""
_FIRST = b"\0"
_PLACE = struct.Struct(">qq")
_PAIRS_PER_READ = 256
_DAMAGED = "DAMAGED"
_NOT_OURS_TO_EMPTY = (
    *SIGNS_OF_A_FULL_DISK,
    "while lock file",
    "lock hold by",
    "permission denied",
    "too many open files",
    "read-only file system",
)


class RocksPartition:
    """One partition's state in one RocksDB database."""

    def __init__(self, store: RocksStore, partition: int) -> None:
        self._store = store
        self._partition = partition
        self._db = store.database(partition)
        self._offset, self._at = self._read_place()

    def get(self, key: bytes) -> bytes | None:
        if not key:
            return None
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            self._failed(error)
        return value

    def scan(self, start: bytes, end: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """As the port says. Whoever pops from the front of a range should start at the last popped key: what
        was removed before it has still to be passed over.

        Pairs are read some hundred at a time and RocksDB's iterator is let go in between: one that is kept would
        hold the database's lock after `close`, and old versions of everything.
        """
        place = max(start, _FIRST)
        left = limit if limit is not None else -1
        while left != 0:
            wanted = _PAIRS_PER_READ if left < 0 else min(left, _PAIRS_PER_READ)
            pairs = self._read(place, end, wanted)
            yield from pairs
            if len(pairs) < wanted:
                return
            place = pairs[-1][0] + b"\0"
            left -= wanted if left > 0 else 0

    def apply(self, changes: Iterable[Change], changelog_offset: int, at: int) -> None:
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in changes:
            if value is None:
                delete(key)
            else:
                put(key, value)
        put(_APPLIED, _PLACE.pack(changelog_offset, at))
        try:
            self._db.write(batch)
        except Exception as error:
            self._failed(error)
        self._offset, self._at = changelog_offset, at

    def changelog_offset(self) -> int:
        return self._offset

    def applied_at(self) -> int:
        return self._at

    def clear(self) -> None:
        """Start over in a new folder; a crash in between leaves either everything or nothing."""
        self._let_go()
        self._store.discard(self._partition)
        self._db = self._store.database(self._partition)
        self._offset, self._at = -1, 0

    def close(self) -> None:
        self._let_go()
        self._store.closed(self._partition)

    def _let_go(self) -> None:
        """Close the database, which writes what is in memory: on a full disk it cannot, and is closed all the same.
        What is lost by that is read again from the changelog."""
        try:
            self._db.close()
        except Exception as error:
            log.warning("the state of partition %s was closed unwritten: %s", self._partition, error)

    def _read(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        if start >= end:
            return []
        bounds = ReadOptions()
        # Without the bound a seek would pass over everything that was removed behind the range, too.
        bounds.set_iterate_upper_bound(end)
        pairs: list[tuple[bytes, bytes]] = []
        try:
            cursor = self._db.iter(bounds)
            try:
                cursor.seek(start)
                while cursor.valid() and len(pairs) < limit:
                    pairs.append((cursor.key(), cursor.value()))
                    cursor.next()
                cursor.status()
            finally:
                del cursor  # else the traceback of an error would keep it, and with it the database's lock
        except Exception as error:
            self._failed(error)
        return pairs

    def _read_place(self) -> tuple[int, int]:
        try:
            place: bytes | None = self._db.get(_APPLIED)
        except Exception as error:
            self._failed(error)
        if place is None:
            return -1, 0
        offset, at = _PLACE.unpack(place)
        return offset, at

    def _failed(self, error: Exception) -> Never:
        """Say what to do; a damaged file is noted on disk, so that the next opening starts from empty."""
        if isinstance(error, DbClosedError):
            raise RuntimeError(
                f"the state of partition {self._partition} is closed: open it again to use it"
            ) from error
        if "corruption" in str(error).lower():
            self._store.condemn(self._partition)
        raise Unavailable(
            f"state of partition {self._partition}: {self._store.advice(str(error))}; close and reopen it"
        ) from error


class RocksStore:
    """Partitions in folders below `folder`, with one cache and one write budget for all of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: set[int] = set()
        self._cache = Cache(CACHE_BYTES)
        self._writes = WriteBufferManager(WRITE_BUFFER_BYTES, False)
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, partition: int) -> RocksPartition:
        if partition in self._open:
            raise RuntimeError(f"the state of partition {partition} is open already")
        opened = RocksPartition(self, partition)
        self._open.add(partition)
        return opened

    def partitions(self) -> Sequence[int]:
        names = (path.name.removeprefix("partition-") for path in self._folder.glob("partition-*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def database(self, partition: int) -> Rdict:
        """The partition's database; one that cannot be read is put aside for a look and replaced by an empty one.

        A folder that another process holds, or a disk that is full, is not damage: `Unavailable`.
        """
        path = self._path(partition)
        self._sweep(partition)
        if (path / _DAMAGED).exists():
            self._put_aside(partition, "a read found damage")
        try:
            return self._connect(path)
        except Exception as error:
            reason = str(error)
        if any(sign in reason.lower() for sign in _NOT_OURS_TO_EMPTY):
            raise Unavailable(f"cannot open the state in {path}: {self.advice(reason)}")
        self._put_aside(partition, reason)
        return self._connect(path)

    def discard(self, partition: int) -> None:
        """Remove the partition's folder at once: it is renamed first, so that no half of it is ever opened."""
        path = self._path(partition)
        if path.exists():
            path.rename(path.with_name(f"discarded-{partition}"))
        self._sweep(partition)

    def condemn(self, partition: int) -> None:
        """Have the next opening start from empty."""
        (self._path(partition) / _DAMAGED).touch()

    def advice(self, reason: str) -> str:
        """RocksDB's reason, with what to do about it where that is known."""
        return explained(reason, self._folder.absolute())

    def closed(self, partition: int) -> None:
        """A partition says that it is done with."""
        self._open.discard(partition)

    def _connect(self, path: Path) -> Rdict:
        database = Rdict(str(path), self._options())
        try:
            database.get(_APPLIED)
        except Exception:
            database.close()
            raise
        return database

    def _put_aside(self, partition: int, reason: str) -> None:
        """Keep the last damaged copy, and only that one."""
        path = self._path(partition)
        aside = path.with_name(f"damaged-{partition}")
        log.warning("the state in %s is damaged (%s): rebuilding it from the changelog", path, reason)
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)

    def _sweep(self, partition: int) -> None:
        shutil.rmtree(self._folder / f"discarded-{partition}", ignore_errors=True)

    def _path(self, partition: int) -> Path:
        return self._folder / f"partition-{partition}"

    def _options(self) -> Options:
        """Our wishes in RocksDB's words: small, shared, and quick to forget what was deleted."""
        options = Options(raw_mode=True)
        options.set_block_based_table_factory(self._tables())
        options.create_if_missing(True)
        options.set_write_buffer_manager(self._writes)
        options.set_write_buffer_size(WRITE_BUFFER_BYTES // 4)
        options.set_max_write_buffer_number(3)
        options.set_max_total_wal_size(4 * WRITE_BUFFER_BYTES)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
        # A file full of tombstones (popped timers, purged runs) is compacted without waiting for its level.
        options.add_compact_on_deletion_collector_factory(4096, 1024, 0.5)
        options.set_max_background_jobs(2)
        options.set_max_open_files(64)
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(MIB)
        options.set_stats_dump_period_sec(0)
        options.set_stats_persist_period_sec(0)
        return options

    def _tables(self) -> BlockBasedOptions:
        tables = BlockBasedOptions()
        tables.set_block_cache(self._cache)
        tables.set_block_size(8 * 1024)
        tables.set_bloom_filter(10, False)
        # In the cache, indexes and filters are bounded; outside they would grow with the state. In small pieces,
        # because one that is larger than a cache shard (a 32nd of the cache) would be read anew every time.
        tables.set_cache_index_and_filter_blocks(True)
        tables.set_index_type(BlockBasedIndexType.two_level_index_search())
        tables.set_partition_filters(True)
        tables.set_metadata_block_size(4 * 1024)
        tables.set_pin_top_level_index_and_filter(True)
        tables.set_pin_l0_filter_and_index_blocks_in_cache(True)
        tables.set_format_version(5)
        return tables


def read_pairs(path: Path) -> tuple[int, Iterator[tuple[bytes, bytes]]]:
    """The changelog offset of a partition's folder and its pairs, as they are on disk, in the order of their keys: the
    store's own, which begin with a zero byte, come first.

    May be used while another process owns the folder; `Unavailable` when it cannot be read.
    """
    try:
        database = Rdict(str(path), Options(raw_mode=True), access_type=AccessType.read_only())
        place: bytes | None = database.get(_APPLIED)
    except Exception as error:
        raise Unavailable(f"cannot read the state in {path}: {error}") from error
    offset = -1 if place is None else _PLACE.unpack(place)[0]
    return offset, _pairs_of(database)


def _pairs_of(database: Rdict) -> Iterator[tuple[bytes, bytes]]:
    for key, value in database.items():
        if isinstance(key, bytes) and key != _APPLIED:
            yield key, value
    database.close()
