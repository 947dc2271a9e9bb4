"""Local stores as they lie on disk, found below data directories and opened for reading beside whoever owns them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["state", "waits"]
"""Executors keep `state`, the fold of `run-state`; matchers `waits`, the fold of the topic of that name."""


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A partition's store as it was when it was opened."""

    offset: int
    """How far it has folded its topic."""
    pairs: Iterator[tuple[bytes, bytes]]
    """Everything in it, its own keys first; to be read once."""


def stores_of(data_dirs: Sequence[Path], topic_prefix: str, kind: Kind, partition: int) -> list[LocalStore]:
    """The partition's stores, the one that is furthest behind first; `Unavailable` for one that cannot be read.

    A store whose owner was killed while making it has no `CURRENT` yet, which RocksDB writes last: it holds nothing.
    """
    name = topic_prefix.rstrip(".") or "penstock"
    paths = [folder / kind / name / f"partition-{partition}" for folder in data_dirs]
    return sorted((_opened(path) for path in paths if (path / "CURRENT").is_file()), key=lambda store: store.offset)


def _opened(path: Path) -> LocalStore:
    from ..state.rocks import read_pairs  # RocksDB is loaded only when there is a store to look at

    return LocalStore(*read_pairs(path))
