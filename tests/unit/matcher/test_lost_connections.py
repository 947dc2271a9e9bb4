"""What aiokafka hears of a connection that was closed behind its back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from penstock.matcher.lost_connections import hear_of_lost_connections


class _ClosedTransport:
    """Answers as uvloop does."""

    def write(self, _data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")


def test_a_closed_transport_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up, with the error after which aiokafka connects again; a second call changes nothing."""
    monkeypatch.setattr(AIOKafkaConnection, "send", AIOKafkaConnection.send)
    hear_of_lost_connections()
    hear_of_lost_connections()
    closed: list[object] = []

    class Connection(AIOKafkaConnection):  # type: ignore[misc]
        def __init__(self) -> None:
            self._writer, self._host, self._port = _ClosedTransport(), "127.0.0.1", 1
            self._versions, self._client_id, self._correlation_id = {}, "test", 0

        def close(self, reason: object = None, exc: object = None) -> None:
            closed.append(reason)

        def __del__(self) -> None:
            pass

    struct = SimpleNamespace(
        build_request_header=lambda **_: SimpleNamespace(encode=lambda: b"head"), encode=lambda: b"body"
    )
    with pytest.raises(KafkaConnectionError, match="is lost"):
        Connection().send(SimpleNamespace(prepare=lambda _versions: struct))
    assert len(closed) == 1
