"""A local store against its changelog."""

from __future__ import annotations

from penstock.audit import local
from penstock.audit.changelog import digest

FOLDED = {b"run/a": digest(b"1"), b"end/a": digest(b"2")}


def test_a_store_that_is_the_fold_is_clean() -> None:
    """Key by key."""
    found = local.compare(0, FOLDED, [(b"run/a", b"1"), (b"end/a", b"2")])
    assert found.clean
    assert found.checked["stored records"] == 2


def test_every_difference_is_found() -> None:
    """Another value, a key too many, a key too few."""
    found = local.compare(0, FOLDED, [(b"run/a", b"other"), (b"run/b", b"1")])
    assert sorted(f.about for f in found.kept) == [f"partition 0, {key}" for key in ("end/a", "run/a", "run/b")]
