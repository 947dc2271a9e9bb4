"""What every state store must do, asked of each implementation."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from penstock.errors import Unavailable
from penstock.state.memory import MemoryStore
from penstock.state.rocks import RocksStore
from penstock.state.store import PartitionState, StateStore

from . import state_writer

END = b"\xff"


@pytest.fixture(params=["memory", "rocksdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    return MemoryStore() if request.param == "memory" else RocksStore(tmp_path)


@pytest.fixture
def state(store: StateStore) -> PartitionState:
    return store.open(3)


def everything(state: PartitionState) -> dict[bytes, bytes]:
    return dict(state.scan(b"", END))


def fill(state: PartitionState, count: int) -> None:
    state.apply(((b"key/%06d" % n, b"%d" % n) for n in range(count)), changelog_offset=count, at=1)


class TestReading:
    def test_a_new_state_is_empty(self, state: PartitionState) -> None:
        """Nothing is found in a new state, and it says that it has folded nothing."""
        assert state.get(b"key") is None
        assert everything(state) == {}
        assert (state.changelog_offset(), state.applied_at()) == (-1, 0)

    def test_what_was_applied_is_found(self, state: PartitionState) -> None:
        """A value is found under its key, and the offset and time are the last application's."""
        state.apply([(b"run/1", b"one"), (b"run/2", b"")], changelog_offset=41, at=1_700_000_000_123)
        assert (state.get(b"run/1"), state.get(b"run/2"), state.get(b"run/3")) == (b"one", b"", None)
        assert (state.changelog_offset(), state.applied_at()) == (41, 1_700_000_000_123)

    def test_bytes_of_any_kind_are_kept(self, state: PartitionState) -> None:
        """Keys and values are bytes, zero and 0xff and all, however long."""
        pairs = {
            b"\0": b"\0\0",
            b"\0\xff": b"\xff",
            b"\xfe\xff": bytes(range(256)),
            b"k" * 3000: b"v" * 5_000_000,
        }
        state.apply(pairs.items(), changelog_offset=0, at=0)
        assert everything(state) == pairs
        assert all(state.get(key) == value for key, value in pairs.items())

    def test_the_empty_key_is_never_there(self, state: PartitionState) -> None:
        """What a store notes for itself is not seen as a pair."""
        state.apply([(b"a", b"1")], changelog_offset=1, at=1)
        assert state.get(b"") is None
        assert list(state.scan(b"", END)) == [(b"a", b"1")]


class TestScanning:
    def test_pairs_come_in_the_order_of_bytes(self, state: PartitionState) -> None:
        """Keys sort as bytes, not as text or numbers."""
        keys = [b"b", b"a\xff", b"a", b"\0z", b"a\0", b"B", b"ab", b"10", b"9"]
        state.apply([(key, b"") for key in keys], changelog_offset=0, at=0)
        assert [key for key, _ in state.scan(b"", END)] == sorted(keys)

    def test_start_is_in_and_end_is_out(self, state: PartitionState) -> None:
        """A scan holds start ≤ key < end."""
        state.apply([(key, b"") for key in (b"a", b"b", b"b\0", b"c", b"d")], changelog_offset=0, at=0)
        assert [key for key, _ in state.scan(b"b", b"d")] == [b"b", b"b\0", b"c"]
        assert list(state.scan(b"d", b"b")) == []
        assert list(state.scan(b"b", b"b")) == []

    @pytest.mark.parametrize("limit", [0, 1, 255, 256, 257, 700, 1000, 2000])
    def test_a_limit_is_the_most_that_comes(self, state: PartitionState, limit: int) -> None:
        """At most `limit` pairs, the first ones, however they are read inside."""
        fill(state, 1000)
        found = [key for key, _ in state.scan(b"key/", END, limit)]
        assert found == [b"key/%06d" % n for n in range(min(limit, 1000))]

    @pytest.mark.parametrize("count", [255, 256, 257, 512, 1000])
    def test_a_scan_without_a_limit_reaches_the_end(self, state: PartitionState, count: int) -> None:
        """All pairs come, each once, whatever their number."""
        fill(state, count)
        assert [key for key, _ in state.scan(b"", END)] == [b"key/%06d" % n for n in range(count)]

    def test_changes_during_a_scan_skip_and_repeat_nothing_else(self, state: PartitionState) -> None:
        """Removing what was read and adding behind it leaves the rest of the scan as it was."""
        fill(state, 1000)
        seen = []
        for number, (key, _) in enumerate(state.scan(b"key/", END)):
            seen.append(key)
            state.apply([(key, None), (b"gone/%06d" % number, b"")], changelog_offset=2000 + number, at=2)
        assert seen == [b"key/%06d" % n for n in range(1000)]

    def test_popping_from_the_front_sees_what_was_put_there_meanwhile(self, state: PartitionState) -> None:
        """A range used as a queue: the smallest key comes first, also when it came last."""
        state.apply([(b"due/5", b""), (b"due/7", b"")], changelog_offset=0, at=0)
        assert next(state.scan(b"due/", b"due0", 1))[0] == b"due/5"
        state.apply([(b"due/5", None), (b"due/6", b"")], changelog_offset=1, at=0)
        assert [key for key, _ in state.scan(b"due/5", b"due0")] == [b"due/6", b"due/7"]


class TestApplying:
    def test_the_last_change_of_a_key_counts(self, state: PartitionState) -> None:
        """Changes of one application are made in their order."""
        state.apply([(b"a", b"1"), (b"a", None), (b"a", b"2"), (b"b", b"1"), (b"b", None)], changelog_offset=0, at=0)
        assert everything(state) == {b"a": b"2"}

    def test_removing_what_is_not_there_changes_nothing(self, state: PartitionState) -> None:
        """A tombstone for an unknown key is fine: a changelog may hold one."""
        state.apply([(b"a", None)], changelog_offset=7, at=0)
        assert everything(state) == {}
        assert state.changelog_offset() == 7

    def test_changes_that_fail_on_the_way_leave_nothing(self, state: PartitionState) -> None:
        """All of the changes or none, also when whoever supplies them breaks off."""

        def broken() -> list[tuple[bytes, bytes | None]]:
            raise ZeroDivisionError

        state.apply([(b"a", b"1")], changelog_offset=1, at=1)
        with pytest.raises(ZeroDivisionError):
            state.apply(((b"a", b"2") if n == 0 else broken()[0] for n in range(2)), changelog_offset=2, at=2)
        assert everything(state) == {b"a": b"1"}
        assert (state.changelog_offset(), state.applied_at()) == (1, 1)

    def test_no_changes_still_move_the_offset(self, state: PartitionState) -> None:
        """Records of the changelog that hold nothing for the state count as applied."""
        state.apply([], changelog_offset=12, at=5)
        assert (state.changelog_offset(), state.applied_at()) == (12, 5)


class TestLife:
    def test_a_reopened_state_is_as_it_was_left(self, store: StateStore) -> None:
        """Closing keeps everything: pairs, offset and time."""
        state = store.open(3)
        fill(state, 500)
        before = everything(state)
        state.close()
        state = store.open(3)
        assert everything(state) == before
        assert (state.changelog_offset(), state.applied_at()) == (500, 1)

    def test_closing_in_the_middle_of_a_scan_lets_the_state_go(self, store: StateStore) -> None:
        """An iterator that nobody finished does not keep the partition from being opened again."""
        state = store.open(3)
        fill(state, 1000)
        unfinished = cast("Generator[object]", state.scan(b"", END))
        next(unfinished)
        state.close()
        assert len(everything(store.open(3))) == 1000
        unfinished.close()

    def test_a_closed_state_answers_nothing(self, store: StateStore) -> None:
        """Use after closing is an error, never an empty answer."""
        state = store.open(3)
        state.apply([(b"a", b"1")], changelog_offset=0, at=0)
        state.close()
        uses: list[Callable[[], object]] = [
            lambda: state.get(b"a"),
            lambda: list(state.scan(b"", END)),
            lambda: state.apply([], changelog_offset=1, at=1),
        ]
        for use in uses:
            with pytest.raises(RuntimeError, match="closed"):
                use()

    def test_an_open_partition_is_not_opened_twice(self, store: StateStore) -> None:
        """Two holders of one partition would be two owners."""
        store.open(3)
        with pytest.raises(RuntimeError, match="open already"):
            store.open(3)

    def test_clearing_leaves_nothing(self, store: StateStore) -> None:
        """A cleared state is as a new one, also after reopening, and takes changes again."""
        state = store.open(3)
        fill(state, 500)
        state.apply([(b"\0due/1", b"")], changelog_offset=501, at=2)
        state.clear()
        assert everything(state) == {}
        assert (state.changelog_offset(), state.applied_at()) == (-1, 0)
        state.apply([(b"a", b"1")], changelog_offset=0, at=9)
        state.close()
        state = store.open(3)
        assert everything(state) == {b"a": b"1"}
        assert (state.changelog_offset(), state.applied_at()) == (0, 9)

    def test_partitions_are_apart(self, store: StateStore) -> None:
        """What one partition holds, another does not; the store knows which there are."""
        states = {number: store.open(number) for number in (0, 2, 10)}
        for number, state in states.items():
            state.apply([(b"who", b"%d" % number)], changelog_offset=number, at=0)
        states[2].clear()
        states[10].close()
        assert states[0].get(b"who") == b"0"
        assert states[2].get(b"who") is None
        assert store.open(10).get(b"who") == b"10"
        assert list(store.partitions()) == [0, 2, 10]


class TestRocksFiles:
    def test_what_a_killed_process_applied_is_a_prefix(self, tmp_path: Path) -> None:
        """kill -9 between or within applications: the state is exactly what its offset says, and no less than
        what was reported before the kill."""
        for _ in range(4):
            reported = write_until_killed(tmp_path, 400)
            state = RocksStore(tmp_path).open(0)
            offset = state.changelog_offset()
            assert offset >= reported
            assert everything(state) == state_writer.after(offset)
            assert state.applied_at() == 1000 + offset
            state.close()

    def test_a_log_cut_short_leaves_an_earlier_state(self, tmp_path: Path) -> None:
        """The machine lost power and with it the end of the log: an earlier state, whole, with its own offset."""
        write_until_killed(tmp_path, 400)
        for cut in (1, 37, 5000):
            log = newest(tmp_path / "partition-0", "*.log")
            log.write_bytes(log.read_bytes()[:-cut])
            state = RocksStore(tmp_path).open(0)
            offset = state.changelog_offset()
            assert everything(state) == (state_writer.after(offset) if offset >= 0 else {})
            state.apply(state_writer.changes(offset + 1), changelog_offset=offset + 1, at=1001 + offset)
            state.close()
            write_until_killed(tmp_path, 50)

    @pytest.mark.parametrize("file", ["CURRENT", "MANIFEST-*", "*.sst"])
    @pytest.mark.parametrize("damage", ["overwritten", "missing"])
    def test_a_damaged_state_is_emptied(
        self, tmp_path: Path, file: str, damage: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whatever file is broken or gone, at the latest the second opening gives an empty state that works."""
        leave_a_state(tmp_path)
        target = newest(tmp_path / "partition-3", file)
        if damage == "missing":
            target.unlink()
        else:
            target.write_bytes(b"\x5a" * target.stat().st_size)
        store = RocksStore(tmp_path)
        state = open_and_read(store)
        assert (state.changelog_offset(), everything(state)) == (-1, {})
        state.apply([(b"a", b"1")], changelog_offset=0, at=0)
        assert state.get(b"a") == b"1"
        assert "rebuilding it from the changelog" in caplog.text
        assert list(store.partitions()) == [3]
        assert (tmp_path / "damaged-3").is_dir()

    def test_damage_that_a_read_meets_empties_the_next_opening(self, tmp_path: Path) -> None:
        """A block that does not match its checksum is an error for the reader and a fresh start afterwards."""
        leave_a_state(tmp_path)
        table = newest(tmp_path / "partition-3", "*.sst")
        content = bytearray(table.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 100] = b"\x5a" * 100
        table.write_bytes(content)
        store = RocksStore(tmp_path)
        state = store.open(3)
        with pytest.raises(Unavailable, match="reopen"):
            everything(state)
        state.close()
        state = store.open(3)
        assert (state.changelog_offset(), everything(state)) == (-1, {})

    def test_a_state_in_use_by_another_process_is_left_alone(self, tmp_path: Path) -> None:
        """Two processes given one folder: the second is told so, the first keeps its data."""
        writer = start_writer(tmp_path)
        try:
            read_until(writer, 10)
            with pytest.raises(Unavailable, match="lock"):
                RocksStore(tmp_path).open(0)
            read_until(writer, 20)
        finally:
            kill(writer)
        state = RocksStore(tmp_path).open(0)
        assert state.changelog_offset() >= 20

    def test_leftovers_of_a_broken_off_clearing_are_removed(self, tmp_path: Path) -> None:
        """A crash after the rename and before the removal costs no space for long."""
        leave_a_state(tmp_path)
        (tmp_path / "partition-3").rename(tmp_path / "discarded-3")
        state = RocksStore(tmp_path).open(3)
        assert everything(state) == {}
        assert not (tmp_path / "discarded-3").exists()

    def test_memory_stays_small_with_many_partitions(self, tmp_path: Path) -> None:
        """32 partitions with data share one cache and one write budget."""
        code = (
            "import sys, psutil, pathlib\n"
            "from penstock.state.rocks import RocksStore\n"
            "process = psutil.Process(); before = process.memory_info().rss\n"
            "store = RocksStore(pathlib.Path(sys.argv[1]))\n"
            "for p in range(32):\n"
            "    state = store.open(p)\n"
            "    for at in range(10):\n"
            "        state.apply([(b'%06d/%06d' % (at, n), b'v' * 200) for n in range(1000)], at, 0)\n"
            "    sum(1 for _ in state.scan(b'', b'z'))\n"
            "print(process.memory_info().rss - before)\n"
        )
        ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
        assert int(ran.stdout) < 80 * 1024 * 1024


def leave_a_state(folder: Path) -> None:
    """Enough for RocksDB to have written a sorted file."""
    state = RocksStore(folder).open(3)
    for part in range(30):
        pairs = ((b"key/%06d/%06d" % (n, part), bytes([n % 251]) * 200) for n in range(1000))
        state.apply(pairs, changelog_offset=part, at=1)
    state.close()


def open_and_read(store: RocksStore) -> PartitionState:
    """Open, read everything, and if that meets damage do it once more, as an owner would."""
    state = store.open(3)
    try:
        everything(state)
    except Unavailable:
        state.close()
        return store.open(3)
    return state


def newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern))


def start_writer(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contract.state_writer", str(folder)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


def read_until(writer: subprocess.Popen[str], steps: int) -> int:
    """Read that many more reports; the last number."""
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(steps)]
    return int(lines[-1])


def kill(writer: subprocess.Popen[str]) -> None:
    writer.kill()
    writer.communicate()


def write_until_killed(folder: Path, steps: int) -> int:
    writer = start_writer(folder)
    try:
        return read_until(writer, steps)
    finally:
        kill(writer)


class TestFullDisk:
    def test_a_state_that_could_not_be_written_is_opened_again_when_there_is_room(self, tmp_path: Path) -> None:
        """It says what to do, closes all the same, and has what was applied before the disk was full."""
        store = RocksStore(tmp_path)
        state = store.open(3)
        fill(state, 10)
        with largest_file(64 * 1024), pytest.raises(Unavailable, match="the disk is full: make room"):
            state.apply([(b"large", bytes(1_000_000))], changelog_offset=11, at=2)
        state.close()
        again = store.open(3)
        assert again.changelog_offset() == 10
        again.apply([(b"large", bytes(1_000_000))], changelog_offset=11, at=3)
        assert again.get(b"large") == bytes(1_000_000)
        again.close()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond the size meanwhile, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
