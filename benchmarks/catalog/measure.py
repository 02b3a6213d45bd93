"""Ask all servers the same, first whether they agree, then how fast they are."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from benchmarks.catalog.client import Load, Request, post
from benchmarks.catalog.ours import Handler
from benchmarks.catalog.queries import LIMIT, Query, answer_of

__all__ = ["Handlers", "Server", "difference", "latencies", "loads", "requests_of", "sqlite_pages"]

#: Requests whose answers are compared, and that are sent before anything is measured.
_COMPARED, _WARM_UP = 20, 60
#: Different requests of many connections; they are sent again from the start.
_UNDER_LOAD = 1000
# Of the bodies: what warms up and what is compared is not what is measured.
_COMPARING, _WARMING, _TIMING, _LOADING = range(4)
#: How long a page is while deep ones are walked to; a token does not say how long its page is.
_STRIDE = 100


class Server(Hashable, Protocol):
    """What can be asked; used by one thread."""

    def ask(self, requests: Sequence[Request]) -> list[Any]:
        """Return the answers' documents."""

    def time(self, requests: Sequence[Request]) -> list[float]:
        """Return the seconds of each answer, one after the other."""

    def load(self, requests: Sequence[Request], connections: int, seconds: float) -> Load:
        """Ask again and again for a while, many at once."""


class Handlers:
    """The handler alone in several processes, as many as there are execution environments."""

    def __init__(self, handlers: Sequence[Handler]) -> None:
        self._handlers = handlers

    @classmethod
    @contextmanager
    def running(cls, url: str, datasets: Path, processes: int) -> Iterator[Handlers]:
        """Run them for a while."""
        with ExitStack() as stack:
            yield cls([stack.enter_context(Handler(url, datasets)) for _ in range(processes)])

    def ask(self, requests: Sequence[Request]) -> list[Any]:
        """Return the answers' documents."""
        return [self._handlers[0].ask(request) for request in requests]

    def time(self, requests: Sequence[Request]) -> list[float]:
        """Return the seconds of each call."""
        return self._handlers[0].time(requests)

    def load(self, requests: Sequence[Request], connections: int, seconds: float) -> Load:  # noqa: ARG002
        """Call each process again and again; there are no connections, each does one call at a time."""
        source, lock = itertools.cycle(requests), threading.Lock()
        start = time.perf_counter()

        def run(handler: Handler) -> list[float]:
            durations: list[float] = []
            while time.perf_counter() < start + seconds:
                with lock:
                    request = next(source)
                durations += handler.time([request])
            return durations

        with ThreadPoolExecutor(len(self._handlers)) as pool:
            durations = list(itertools.chain.from_iterable(pool.map(run, self._handlers)))
        return Load(len(durations), 0, time.perf_counter() - start, durations)


def requests_of(query: Query, server: Server, count: int, seed: int = 0) -> list[Request]:
    """Return requests of a kind for a server; deep pages are found through its own tokens."""
    if query.depth == 1:
        return [post(query.path, body) for body in query.bodies(count, seed)]
    body = query.bodies(1)[0]
    token = _token_after(server, query.path, json.dumps(body), (query.depth - 1) * LIMIT)
    requests = []
    for _ in range(count):
        requests.append(post(query.path, {**body, "token": token}))
        token = _next(server.ask(requests[-1:])[0])
    return requests


@cache
def _token_after(server: Server, path: str, body: str, items: int) -> str:
    """Return the token of the page that begins after so many Items; it is walked to once."""
    token: str | None = None
    while items:
        step = min(items, _STRIDE)
        request = {**json.loads(body), "limit": step, **({} if token is None else {"token": token})}
        token, items = _next(server.ask([post(path, request)])[0]), items - step
    assert token is not None
    return token


def _next(document: Mapping[str, Any]) -> str:
    link = next((link for link in document["links"] if link["rel"] == "next"), None)
    if link is None:
        raise RuntimeError("there is no next page; run it with more Items")
    if "token" in link.get("body", {}):
        return str(link["body"]["token"])
    return parse_qs(urlsplit(str(link["href"])).query)["token"][0]


def difference(query: Query, ours: Server, peer: Server) -> str:
    """Return how the answers differ, or nothing.

    Compared are how many match and the first of them, in the order of their ids, because servers choose
    another order among Items that begin at the same time; of deep pages, when the Items begin.
    """
    if query.depth > 1:
        begun = [
            [item["properties"]["start_datetime"] for item in document["features"]]
            for server in (ours, peer)
            for document in server.ask(requests_of(query, server, 1))
        ]
        return "" if begun[0] == begun[1] else f"ours begin {begun[0]}, the peer's {begun[1]}"
    for body in query.bodies(_COMPARED, _COMPARING):
        ordered = (
            body if query.path != "/search" else {**body, "sortby": [{"field": "id", "direction": "asc"}]}
        )
        request = post(query.path, ordered)
        own, other = (answer_of(server.ask([request])[0]) for server in (ours, peer))
        if own != other:
            return f"to {request.body.decode()} ours is {own}, the peer's {other}"
    return ""


def latencies(query: Query, servers: Mapping[str, Server], count: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each answer by server; they take turns, in another order each round."""
    requests = {name: requests_of(query, server, count, _TIMING) for name, server in servers.items()}
    for server in servers.values():
        server.time(requests_of(query, server, _WARM_UP, _WARMING))
    seconds: dict[str, list[float]] = {name: [] for name in servers}
    size = -(-count // rounds)
    for number in range(rounds):
        part = slice(number * size, (number + 1) * size)
        for name in list(servers)[:: -1 if number % 2 else 1]:
            seconds[name] += servers[name].time(requests[name][part])
    return seconds


def loads(query: Query, servers: Mapping[str, Server], connections: int, seconds: float) -> dict[str, Load]:
    """Return what came of many connections by server, in two turns each."""
    # Deep pages are found one by one: fewer of them.
    count = _UNDER_LOAD if query.depth == 1 else 50
    requests = {name: requests_of(query, server, count, _LOADING) for name, server in servers.items()}
    turns: dict[str, list[Load]] = {name: [] for name in servers}
    for turn in (1, -1):
        for name in list(servers)[::turn]:
            turns[name].append(servers[name].load(requests[name], connections, seconds / 2))
    return {name: _sum(parts) for name, parts in turns.items()}


def _sum(parts: Sequence[Load]) -> Load:
    return Load(
        sum(part.answers for part in parts),
        sum(part.failures for part in parts),
        sum(part.seconds for part in parts),
        [latency for part in parts for latency in part.latencies],
    )


def sqlite_pages(handler: Server, items: int, count: int) -> dict[str, list[float]]:
    """Return the seconds of a page of 100, by its place."""
    body = {"limit": _STRIDE}
    depths = {"page 1": 1, "page 1,000": 1000, "the last page": items // _STRIDE}
    pages = {}
    for name, depth in depths.items():
        if 1 < depth <= items // _STRIDE:
            token = _token_after(handler, "/search", json.dumps(body), (depth - 1) * _STRIDE)
            request = post("/search", {**body, "token": token})
        elif depth == 1:
            request = post("/search", body)
        else:
            continue
        handler.time([request] * _WARM_UP)
        pages[f"{name} of {_STRIDE}, {items:,} Items"] = handler.time([request] * count)
    return pages
