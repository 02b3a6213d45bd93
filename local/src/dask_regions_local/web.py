"""The least HTTP server that three parts of local mode share: API, Lambda Runtime API, ECS metadata."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase

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


def _body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Read a request's body; ValueError where its length is none."""
    if "chunked" in headers.get("Transfer-Encoding", ""):
        body = b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
        return body
    length = int(headers.get("Content-Length") or 0)
    if length < 0:
        raise ValueError(f"Content-Length: {length}")
    return stream.read(length)


def _handler(handle: Callable[[Request], Response]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # headers and body leave together; `handle_one_request` flushes

        def answer(self) -> None:
            try:
                body = _body(self.headers, self.rfile)
            except ValueError:
                self.close_connection = True  # where the next request starts is unknown
                self.send_error(400)
                return
            request = Request(
                self.command, self.path, list(self.headers.items()), body, self.client_address[0]
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

        def log_message(self, *_: object) -> None:  # the functions log for themselves
            pass

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler
