"""Which port is free."""

from __future__ import annotations

import socket

import pytest

from penstock.cli import ports
from penstock.cli.ports import free_port, is_free, wanted_or_next
from penstock.errors import InvalidSettings


def test_a_port_in_use_is_not_free_and_the_next_one_is_taken() -> None:
    """The wanted port if nobody has it, else one after it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert wanted_or_next(port) > port
    assert is_free(port)
    assert wanted_or_next(port) == port


def test_a_free_port_can_be_listened_on() -> None:
    """What is said to be free is."""
    socket.create_server(("127.0.0.1", free_port())).close()


def test_no_free_port_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search is bounded, and the error names the flag."""
    monkeypatch.setattr(ports, "is_free", lambda _port: False)
    with pytest.raises(InvalidSettings, match=r"from 65530 .*--kafka-port"):
        wanted_or_next(65530)
