"""What a running `penstock dev` consists of, for programs: addresses and process ids in a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Running:
    """The content of the ready file. `pids` follow restarts, which `restarts` counts; `ready` says who is up."""

    bootstrap_servers: str
    url: str
    pids: dict[str, int] = field(default_factory=dict)
    ready: dict[str, bool] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)

    @property
    def all_ready(self) -> bool:
        return bool(self.ready) and all(self.ready.values())


def write_ready_file(path: Path, running: Running) -> None:
    """Replace the file in one step: a reader sees the old content or the new."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(asdict(running)), "utf-8")
    fresh.replace(path)
