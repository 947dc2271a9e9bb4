"""HTTP servers as part of a service, not as its master."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn


class EmbeddedServer(uvicorn.Server):
    """A uvicorn server that leaves signals alone: when to end is its service's business (`should_exit`)."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
