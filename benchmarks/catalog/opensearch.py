"""The OpenSearch server that both sides use."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from testing import opensearch

__all__ = ["catalog_url", "describe", "running", "settle"]

_TIMEOUT_SECONDS = 600.0


@contextmanager
def running(address: str | None) -> Iterator[str]:
    """Yield the address of a server: the one that runs already, or one of our own for a while."""
    if address is not None:
        yield address.rstrip("/")
        return
    # The one of the tests, with memory for two million documents.
    with opensearch.running(heap="5g") as url:
        yield url


def catalog_url(url: str) -> str:
    """Return the address of our catalog on a server."""
    return f"{url}/"


def settle(url: str) -> None:
    """Merge every index into one segment, so that luck in merging favours none."""
    _ask(url, "/_forcemerge?max_num_segments=1", "POST")
    _ask(url, "/_refresh", "POST")


def describe(url: str) -> str:
    """Return the server's version, and how many bytes each side's indexes take."""
    number = _ask(url, "/")["version"]["number"]
    sizes = {"peer": 0, "ours": 0}
    for index in _ask(url, "/_cat/indices?format=json&bytes=b"):
        peers = index["index"].startswith(("items_", "collections-"))
        sizes["peer" if peers else "ours"] += int(index["store.size"] or 0)
    return (
        f"OpenSearch {number}, one node; ours take {sizes['ours'] / 1e6:.0f} MB, the peer's "
        f"{sizes['peer'] / 1e6:.0f} MB"
    )


def _ask(url: str, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(url + path, method=method)  # noqa: S310  an address of the caller's
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
        return json.load(response)
