"""Where an app listens and how it is called: the environment is the whole interface between a test and an app."""

from __future__ import annotations

import os
import socket

APP = os.environ.get("CONFORMANCE_APP", "app")
PORT = int(os.environ.get("CONFORMANCE_PORT", "0"))
#: A server that steps may make requests to.
OUTSIDE = os.environ.get("CONFORMANCE_OUTSIDE", "http://127.0.0.1:9")


def listen() -> socket.socket:
    """A listening socket on loopback; the first line of output tells the test where."""
    listener = socket.create_server(("127.0.0.1", PORT), backlog=512)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    return listener
