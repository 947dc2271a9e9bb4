"""Ports of this machine's loopback: which one is free."""

from __future__ import annotations

import socket

from ..errors import InvalidSettings

TRIED_AFTER_THE_WANTED = 100


def free_port() -> int:
    """Some free port. Another process may take it before we do, so the start that needs it may still fail."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """True when a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wanted_or_next(port: int) -> int:
    """`port`, or the next free one after it."""
    for candidate in range(port, min(port + TRIED_AFTER_THE_WANTED, 65536)):
        if is_free(candidate):
            return candidate
    raise InvalidSettings(
        f"no free port from {port} to {port + TRIED_AFTER_THE_WANTED - 1}: choose another --kafka-port"
    )
