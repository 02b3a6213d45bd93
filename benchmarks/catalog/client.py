"""One HTTP client for all servers: keep-alive, no compression, one thread."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

__all__ = ["Client", "Load", "Request", "post"]

#: Seconds for one answer.
_TIMEOUT_SECONDS = 60.0


class Request(NamedTuple):
    """A request, ready to be sent."""

    path: str
    body: bytes


class Load(NamedTuple):
    """What a server answered to many connections at once.

    Attributes
    ----------
    answers
        With status 200.
    failures
        With another one.
    seconds
        From the first request to the last answer.
    latencies
        Of each answer, in seconds.
    """

    answers: int
    failures: int
    seconds: float
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return self.answers / self.seconds


def post(path: str, body: Mapping[str, Any]) -> Request:
    """Return a request with a JSON body."""
    return Request(path, json.dumps(body, separators=(",", ":")).encode())


class Client:
    """Posts to one server.

    Parameters
    ----------
    url
        ``http://host:port``.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port

    def ask(self, requests: Sequence[Request]) -> list[Any]:
        """Return the answers' documents, one request after the other.

        Raises
        ------
        RuntimeError
            Where one is no 200; the message has the answer.
        """
        return asyncio.run(self._ask(requests))

    def time(self, requests: Sequence[Request]) -> list[float]:
        """Return the seconds of each answer, one request after the other over one connection.

        Raises
        ------
        RuntimeError
            Where one is no 200.
        """
        return asyncio.run(self._time(requests))

    def load(self, requests: Sequence[Request], connections: int, seconds: float) -> Load:
        """Send requests over several connections at once for a while, from the start again at the end."""
        return asyncio.run(self._load(requests, connections, seconds))

    async def _ask(self, requests: Sequence[Request]) -> list[Any]:
        async with self._connection() as (reader, writer):
            answers = []
            for request in requests:
                status, body = await self._send(reader, writer, request)
                _check(status, body, request)
                answers.append(json.loads(body))
            return answers

    async def _time(self, requests: Sequence[Request]) -> list[float]:
        async with self._connection() as (reader, writer):
            latencies = []
            for request in requests:
                start = time.perf_counter()
                status, body = await self._send(reader, writer, request)
                latencies.append(time.perf_counter() - start)
                _check(status, body, request)
            return latencies

    async def _load(self, requests: Sequence[Request], connections: int, seconds: float) -> Load:
        source = itertools.cycle(requests)
        start = time.perf_counter()
        runs = (self._until(source, start + seconds) for _ in range(connections))
        answers = list(itertools.chain.from_iterable(await asyncio.gather(*runs)))
        elapsed = time.perf_counter() - start
        good = [latency for status, latency in answers if status == 200]
        return Load(len(good), len(answers) - len(good), elapsed, good)

    async def _until(self, source: Iterator[Request], end: float) -> list[tuple[int, float]]:
        answers = []
        async with self._connection() as (reader, writer):
            while (start := time.perf_counter()) < end:
                status, _ = await self._send(reader, writer, next(source))
                answers.append((status, time.perf_counter() - start))
        return answers

    @asynccontextmanager
    async def _connection(self) -> Any:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**24)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def _send(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request
    ) -> tuple[int, bytes]:
        writer.write(
            f"POST {request.path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAccept: */*\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n\r\n".encode()
            + request.body
        )
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            return int(head[9:12]), await reader.readexactly(_length(head))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"an answer without Content-Length: {head.decode(errors='replace')}")


def _check(status: int, body: bytes, request: Request) -> None:
    if status != 200:
        text = body[:500].decode(errors="replace")
        raise RuntimeError(f"{request.path} {request.body.decode()}: status {status}, {text}")
