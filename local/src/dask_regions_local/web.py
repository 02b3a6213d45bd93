"""The least HTTP server that three parts of local mode share: API, Lambda Runtime API, ECS metadata."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Request", "Response", "Server"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A request as it arrived; ``target`` is path and query string, undecoded."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    client: str


@dataclass(frozen=True)
class Response:
    """What to answer; ``Content-Length`` is added."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = field(default=(("content-type", "application/json"),))


class Server:
    """Serve requests on a port of 127.0.0.1, each in a thread.

    Parameters
    ----------
    handle
        Answers a request; called from many threads at once.
    port
        0 takes a free one.
    """

    def __init__(self, handle: Callable[[Request], Response], *, port: int = 0) -> None:
        self._server = _ThreadingServer(("127.0.0.1", port), _handler(handle))
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and release the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _ThreadingServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is not an error of ours."""


def _response(handle: Callable[[Request], Response], request: Request) -> Response:
    try:
        return handle(request)
    except Exception:  # noqa: BLE001  the server outlives what a handler does
        _log.exception("%s %s failed", request.method, request.target)
        return Response(500, b'{"message":"Internal Server Error"}')


def _handler(handle: Callable[[Request], Response]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            request = Request(
                self.command, self.path, list(self.headers.items()), self.read(), self.client_address[0]
            )
            response = _response(handle, request)
            self.send_response(response.status)
            for name, value in response.headers:
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)

        def read(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:  # the functions log for themselves
            pass

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler
