"""A line between two processes that a test can disturb: a TCP relay with the faults that networks have.

The faults differ in what the two ends notice. A reset is heard at once, a cut by whoever dials. On a line that is
half-open nobody hears anything: connections stay, new ones are taken, bytes vanish, and a connection that was open
meanwhile stays dead after healing, as when a router has forgotten it. On a line that is held, bytes come late, all of
them, however long ago whoever sent them gave up.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine

_CHUNK = 64 * 1024
#: Chunks that are under way in one direction of a connection; beyond it the sender is not read any more.
_CHUNKS_UNDER_WAY = 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Relay:
    """Takes connections on `port` and passes them on to `target_port`; a fault holds until `heal`."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.accepted = 0
        """Connections that were ever taken."""
        self.delay_seconds = 0.0
        """Bytes arrive this much later, in both directions."""
        self.replies_to_break = 0
        """So many of the next replies are broken off: a piece of them passes, then the connection is reset."""
        self.piece_bytes = 0
        """How much passes of a reply that is broken off."""
        self.passing = asyncio.Event()
        self.passing.set()
        self._loses_bytes = False
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = _bound(0)
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._do(self._listen)

    def reset(self) -> None:
        """Break the connections there are, so that both ends hear of it; new ones pass."""
        self._do(self._reset_all)

    def half_open(self) -> None:
        """Lose all bytes, and tell nobody."""
        self._do(self._lose_bytes)

    def hold(self) -> None:
        """Keep all bytes back, also those of connections that are given up meanwhile."""
        self._do(self.passing.clear)

    def cut(self) -> None:
        """Break the connections, refuse new ones."""
        self._do(self._refuse)

    def heal(self) -> None:
        """Pass everything again."""
        self._do(self._heal)

    def stop(self) -> None:
        self._do(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, what: Callable[[], None]) -> None:
        async def done() -> None:
            what()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(10)

    def _listen(self) -> None:
        self._socket.listen(128)
        self._loop.add_reader(self._socket, self._take)

    def _refuse(self) -> None:
        """Bound and not listening: who dials is refused, and nobody else gets the port."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = _bound(self.port)
        self._reset_all()

    def _lose_bytes(self) -> None:
        self._loses_bytes = True
        for connection in self._connections:
            connection.is_dead = True

    def _heal(self) -> None:
        self.delay_seconds, self.replies_to_break, self._loses_bytes = 0.0, 0, False
        self.passing.set()
        self._listen()

    def _reset_all(self) -> None:
        for connection in list(self._connections):
            connection.reset()

    def _close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._reset_all()
        for task in self._tasks:
            task.cancel()

    def _take(self) -> None:
        near, _ = self._socket.accept()
        near.setblocking(False)
        self.accepted += 1
        connection = _Connection(self, near, self._loses_bytes)
        self._connections.add(connection)
        connection.begin(connection.serve())

    def begun(self, task: asyncio.Task[None]) -> None:
        """Keep the task until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ended(self, connection: _Connection) -> None:
        self._connections.discard(connection)


class _Connection:
    """One connection, with its other half from us to the target; both directions pass by themselves."""

    def __init__(self, relay: Relay, near: socket.socket, is_dead: bool) -> None:
        self.is_dead = is_dead
        """What is sent on it is lost."""
        self._relay = relay
        self._near = near
        self._far = socket.socket()
        self._far.setblocking(False)
        self._directions_open = 2
        self._reply_bytes = 0

    def begin(self, work: Coroutine[None, None, None]) -> None:
        self._relay.begun(asyncio.get_running_loop().create_task(work))

    async def serve(self) -> None:
        """Dial the target (a line that is dead does not come so far) and pass on what is sent."""
        try:
            if not self.is_dead:
                await asyncio.get_running_loop().sock_connect(self._far, ("127.0.0.1", self._relay.target_port))
        except OSError:
            self.reset()
            return
        self._pass(self._near, self._far)
        if not self.is_dead:
            self._pass(self._far, self._near)

    def reset(self) -> None:
        """Both ends hear that the connection is broken, and nothing that was under way arrives."""
        for end in (self._near, self._far):
            if end.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._close()

    def _close(self) -> None:
        loop = asyncio.get_running_loop()
        for end in (self._near, self._far):
            if end.fileno() >= 0:
                loop.remove_reader(end)
                loop.remove_writer(end)
                end.close()
        self._relay.ended(self)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)
        self.begin(self._read(source, under_way))
        self.begin(self._write(sink, under_way))

    async def _read(self, source: socket.socket, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        """Until the end, which goes the same way as the bytes before it: as a chunk that is empty."""
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            try:
                data = await loop.sock_recv(source, _CHUNK)
            except OSError:
                data = b""
            await under_way.put((loop.time() + self._relay.delay_seconds, data))

    async def _write(self, sink: socket.socket, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            due, data = await under_way.get()
            await asyncio.sleep(max(due - loop.time(), 0))
            await self._relay.passing.wait()
            if self.is_dead:
                continue
            piece = self._piece(sink, data)
            try:
                await loop.sock_sendall(sink, data if piece is None else piece)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # whoever was to have it is gone
            if piece is not None:
                self.reset()
                return
        self._directions_open -= 1
        if not self._directions_open and not self.is_dead:
            self._close()

    def _piece(self, sink: socket.socket, data: bytes) -> bytes | None:
        """What passes when this is where a reply breaks off, else None."""
        if sink is self._far:  # a request: what comes back from here on is its reply
            self._reply_bytes = 0
            return None
        before, self._reply_bytes = self._reply_bytes, self._reply_bytes + len(data)
        if not self._relay.replies_to_break or self._reply_bytes < self._relay.piece_bytes:
            return None
        self._relay.replies_to_break -= 1
        return data[: self._relay.piece_bytes - before]


def _bound(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.setblocking(False)
    return listening
