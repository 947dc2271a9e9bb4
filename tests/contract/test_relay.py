"""The line that tests disturb does to its two ends what it says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.relay import Relay

PATIENCE_SECONDS = 10.0
SILENCE_SECONDS = 0.3


class Echo:
    """A server that sends everything back."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                one.sendall(data)
        except OSError:
            pass
        one.close()


@pytest.fixture
def line() -> Iterator[Relay]:
    echo = Echo()
    relay = Relay(echo.port)
    yield relay
    relay.stop()
    echo.stop()


def dial(line: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", line.port), PATIENCE_SECONDS)


def asked(connection: socket.socket, text: bytes) -> bytes:
    """What comes back for it; empty when the connection ends first."""
    connection.sendall(text)
    found = b""
    while len(found) < len(text) and (more := connection.recv(65536)):
        found += more
    return found


def is_silent(connection: socket.socket) -> bool:
    """Nothing comes, neither bytes nor an end."""
    connection.settimeout(SILENCE_SECONDS)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(PATIENCE_SECONDS)
    return False


def until_reset(connection: socket.socket) -> bytes:
    """What came before the connection broke; a reset may overtake it."""
    found = b""
    try:
        while more := connection.recv(65536):
            found += more
    except ConnectionResetError:
        return found
    raise AssertionError(f"it ended in order, after {found!r}")


def test_a_sound_line_passes_bytes_and_ends(line: Relay) -> None:
    """Both directions, large and small, and the end of one side reaches the other."""
    with dial(line) as connection:
        assert asked(connection, b"x" * 1_000_000) == b"x" * 1_000_000
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_a_slow_line_is_slow_both_ways(line: Relay) -> None:
    """A question and its answer take twice the delay."""
    with dial(line) as connection:
        line.delay_seconds = 0.1
        begun = time.monotonic()
        assert asked(connection, b"hello") == b"hello"
        assert time.monotonic() - begun >= 0.2


def test_a_reset_is_heard_and_new_connections_pass(line: Relay) -> None:
    """Who reads gets an error, who dials again an answer."""
    with dial(line) as connection:
        assert asked(connection, b"a") == b"a"
        line.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with dial(line) as another:
        assert asked(another, b"b") == b"b"


def test_a_half_open_line_is_silent_and_its_connections_stay_dead(line: Relay) -> None:
    """Old and new connections hear nothing; after healing only those that are new again do."""
    with dial(line) as old:
        assert asked(old, b"a") == b"a"
        line.half_open()
        with dial(line) as meanwhile:
            for connection in (old, meanwhile):
                connection.sendall(b"b")
                assert is_silent(connection)
            line.heal()
            for connection in (old, meanwhile):
                connection.sendall(b"c")
                assert is_silent(connection)
    with dial(line) as new:
        assert asked(new, b"d") == b"d"


def test_what_is_held_arrives_late(line: Relay) -> None:
    """Nothing comes until the line heals; then all of it, in order."""
    with dial(line) as connection:
        assert asked(connection, b"a") == b"a"
        line.hold()
        connection.sendall(b"held")
        assert is_silent(connection)
        line.heal()
        found = b""
        while len(found) < 4 and (more := connection.recv(10)):
            found += more
        assert found == b"held"


def test_a_cut_line_refuses(line: Relay) -> None:
    """Connections break, nobody answers who dials; the same port answers after healing."""
    with dial(line) as connection:
        assert asked(connection, b"a") == b"a"
        line.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        dial(line)
    line.heal()
    with dial(line) as connection:
        assert asked(connection, b"b") == b"b"


def test_a_reply_breaks_off(line: Relay) -> None:
    """So many bytes of it pass, then the connection is reset; the reply after it is whole."""
    line.piece_bytes, line.replies_to_break = 3, 1
    with dial(line) as connection:
        connection.sendall(b"abcdef")
        assert b"abc".startswith(until_reset(connection))
    assert line.replies_to_break == 0
    with dial(line) as connection:
        assert asked(connection, b"abcdef") == b"abcdef"
