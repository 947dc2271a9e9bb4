"""A server that is none of ours, to which steps ask for requests: an echo, a teapot, and a model."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Outside:
    """Answers by path, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outside = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                outside.requests.append(self.path)
                said = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
                place = self.path.partition("?")[0].strip("/").partition("/")[0]
                if place == "echo":
                    about = {
                        "method": self.command,
                        "path": self.path,
                        "said": self.headers.get("x-said"),
                        "body": said,
                    }
                    self._send(200, "echo", json.dumps(about))
                elif place == "teapot":
                    self._send(418, "teapot", "short and stout")
                elif place == "v1":
                    self._send(200, "model", json.dumps(self._thought(json.loads(said))))
                else:
                    self._send(500, "broken", json.dumps({"error": {"message": "the model is broken"}}))

            def _thought(self, asked: Any) -> Any:
                words = f"{self.headers['authorization']} asked {asked['model']}: {asked['messages'][0]['content']}"
                return {"id": "1", "choices": [{"message": {"role": "assistant", "content": words}}]}

            def _send(self, status: int, kind: str, text: str) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("x-kind", kind)
                self.send_header("content-type", "application/json" if kind != "teapot" else "text/plain")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
