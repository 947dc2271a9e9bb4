"""Any store, whatever is done to it, equals a dict with an offset."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from penstock.state.memory import MemoryStore
from penstock.state.rocks import RocksStore
from penstock.state.store import Change, StateStore
from tests.property.effort import examples

#: Few and close together, so that changes meet; a zero byte, 0xff and prefixes of each other are among them.
KEYS = st.one_of(
    st.sampled_from([b"\0", b"\0a", b"a", b"a\0", b"a\xff", b"b", b"\xfe\xff"]),
    st.binary(min_size=1, max_size=3),
)
CHANGES = st.lists(st.tuples(KEYS, st.one_of(st.none(), st.binary(max_size=20))), max_size=20)
BOUNDS = st.one_of(st.just(b""), KEYS, st.just(b"\xff" * 4))


class StoreAgainstDict(RuleBasedStateMachine):
    """Random uses of one partition; the model is a dict."""

    def new_store(self) -> StateStore:
        return MemoryStore()

    @initialize()
    def begin(self) -> None:
        self.store = self.new_store()
        self.state = self.store.open(1)
        self.model: dict[bytes, bytes] = {}
        self.place = (-1, 0)

    @rule(changes=CHANGES, at=st.integers(0, 2**62))
    def apply(self, changes: list[Change], at: int) -> None:
        self.place = (self.place[0] + 1, at)
        self.state.apply(iter(changes), self.place[0], at)
        for key, value in changes:
            if value is None:
                self.model.pop(key, None)
            else:
                self.model[key] = value

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        assert self.state.get(key) == self.model.get(key)

    @rule(start=BOUNDS, end=BOUNDS, limit=st.one_of(st.none(), st.integers(0, 10)))
    def scan(self, start: bytes, end: bytes, limit: int | None) -> None:
        expected = sorted(pair for pair in self.model.items() if start <= pair[0] < end)
        assert list(self.state.scan(start, end, limit)) == expected[:limit]

    @rule()
    def clear(self) -> None:
        self.state.clear()
        self.model, self.place = {}, (-1, 0)

    @rule()
    def reopen(self) -> None:
        self.state.close()
        self.state = self.store.open(1)

    @invariant()
    def place_is_the_last_application(self) -> None:
        assert (self.state.changelog_offset(), self.state.applied_at()) == self.place


class RocksAgainstDict(StoreAgainstDict):
    """The same uses of a store on disk, which may also be left behind and found again."""

    def new_store(self) -> StateStore:
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-state-"))
        return RocksStore(self.folder)

    @rule()
    def come_back_as_another_process(self) -> None:
        self.state.close()
        self.store = RocksStore(self.folder)
        self.state = self.store.open(1)

    def teardown(self) -> None:
        if hasattr(self, "state"):
            self.state.close()
            shutil.rmtree(self.folder)


TestMemoryStore = StoreAgainstDict.TestCase
TestMemoryStore.settings = settings(max_examples=examples(100), stateful_step_count=30, deadline=None)
TestRocksStore = RocksAgainstDict.TestCase
TestRocksStore.settings = settings(max_examples=examples(25), stateful_step_count=30, deadline=None)
