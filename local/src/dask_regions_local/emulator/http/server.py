"""The HTTP server that three parts of local mode share: API, Lambda Runtime API, ECS metadata.

One event loop in one thread serves all of them: a request that waits for a function, which is told and
heard through the Runtime API, changes threads nowhere.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import logging
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import uvicorn
import uvloop

__all__ = ["Request", "Response", "Server", "spawn"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
#: Requests that are answered by plain functions, and processes that start or end, at once.
_MAX_THREADS = 64
#: Seconds that a connection may be idle; an execution environment's is while its function runs, up to 900.
_KEEP_ALIVE_SECONDS = 1000
#: Seconds that a server which is closed waits for what is under way.
_GRACE_SECONDS = 2


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


_Headers = list[tuple[bytes, bytes]]
Handle = Callable[[Request], Response] | Callable[[Request], Coroutine[Any, Any, Response]]


def spawn(coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
    """Run a coroutine on the servers' event loop; only another thread may wait for its result."""
    with _lock:
        loop = _loop()
    return asyncio.run_coroutine_threadsafe(coroutine, loop)


_lock = threading.Lock()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Start the event loop of all servers of this process; it ends with the process."""
    loop = uvloop.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(_MAX_THREADS))
    thread = threading.Thread(target=loop.run_forever, name="dask-regions-http", daemon=True)
    thread.start()

    def stop() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    atexit.register(stop)
    return loop


class Server:
    """Serve requests on a port of 127.0.0.1.

    Parameters
    ----------
    handle
        Answers a request: a coroutine function, or a plain one, which may block; it is called from many
        threads at once.
    port
        0 takes a free one.
    """

    def __init__(self, handle: Handle, *, port: int = 0) -> None:
        config = uvicorn.Config(
            _application(handle),
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        # The port is bound here, where an error is heard; whoever connects from now on is served.
        listener = socket.create_server(("127.0.0.1", port), backlog=config.backlog)
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self._server = uvicorn.Server(config)
        self._served = spawn(self._server.serve([listener]))

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and release the port; what is under way has two seconds to be answered."""
        self._server.should_exit = True
        self._served.result()


def _application(handle: Handle) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client went away
            body += message["body"]
            more = message["more_body"]
        response, headers = await _response(handle, _request(scope, bytes(body)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    return application


def _request(scope: Any, body: bytes) -> Request:
    # One slash is kept, because what follows two would be read as a host.
    target = "/" + scope["raw_path"].decode().lstrip("/")
    if query := scope["query_string"].decode():
        target += f"?{query}"
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    return Request(scope["method"], target, headers, body, scope["client"][0])


async def _response(handle: Handle, request: Request) -> tuple[Response, _Headers]:
    try:
        if inspect.iscoroutinefunction(handle):
            response = await handle(request)
        else:
            response = await asyncio.to_thread(handle, request)
        return response, _headers(response)
    except Exception:  # noqa: BLE001  the server outlives what a handler does
        _log.exception("%s %s failed", request.method, request.target)
        response = Response(500, b'{"message":"Internal Server Error"}')
        return response, _headers(response)


def _headers(response: Response) -> _Headers:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    given = [header for header in headers if header[0] != b"content-length"]
    return [*given, (b"content-length", b"%d" % len(response.body))]
