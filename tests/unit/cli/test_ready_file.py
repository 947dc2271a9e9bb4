"""The file by which programs find a running `penstock dev`."""

from __future__ import annotations

import json
from pathlib import Path

from penstock.cli.ready_file import Running, write_ready_file


def test_content_is_complete_and_replaced_as_a_whole(tmp_path: Path) -> None:
    """Every field is there, a second write replaces the first, and no half-written file stays behind."""
    path = tmp_path / "ready.json"
    running = Running("a:1", "http://b:2", {"ingest": 1}, {"ingest": True}, {"ingest": 0})
    write_ready_file(path, running)
    running.pids["ingest"] = 2
    write_ready_file(path, running)
    assert json.loads(path.read_text("utf-8")) == {
        "bootstrap_servers": "a:1",
        "url": "http://b:2",
        "pids": {"ingest": 2},
        "ready": {"ingest": True},
        "restarts": {"ingest": 0},
    }
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_started_is_not_ready() -> None:
    """All of nothing is not everything."""
    assert not Running("a:1", "http://b:2").all_ready
    assert not Running("a:1", "http://b:2", ready={"x": True, "y": False}).all_ready
    assert Running("a:1", "http://b:2", ready={"x": True, "y": True}).all_ready
