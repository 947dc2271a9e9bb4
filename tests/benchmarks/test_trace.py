"""Rows of numbers, as app and load generator hand them over."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.trace import Call, Rows, read_calls


@pytest.mark.parametrize("row", [(1, 2, 3), (1, 2, 3, 4, 5), (1, 2, None, 4), (1, 2, 3, 2.5)])
def test_what_is_no_row_leaves_nothing_behind(row: tuple[Any, ...]) -> None:
    """Half of it would shift all rows that follow."""
    rows = Rows(4)
    rows.add(1, 0, 10, 20)
    with pytest.raises(TypeError):
        rows.add(*row)
    rows.add(2, -1, 30, 40)
    assert read_calls(rows.take()) == [Call(1, 0, 10, 20), Call(2, -1, 30, 40)]
    assert rows.take() == b""
