"""A bucket in memory."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping

from dask_regions.errors import NotFoundError
from dask_regions.harvest.base import StoredObject

__all__ = ["MemoryObjects"]


class MemoryObjects:
    """A :class:`~dask_regions.harvest.base.ObjectStore` over a mapping of keys to bytes.

    Attributes
    ----------
    requests
        Every request so far, e.g. ``LIST prefix``, ``LIST prefix /`` and ``GET key``.

    Examples
    --------
    >>> next(MemoryObjects({"a/b/c": b"1"}).level("a/"))
    (['a/b/'], [])
    """

    def __init__(self, contents: Mapping[str, bytes] | None = None, page_size: int = 1000) -> None:
        self.contents = dict(contents or {})
        self.page_size = page_size
        self.requests: list[str] = []

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return the first objects beyond ``after``, and whether there are more."""
        self.requests.append(f"LIST {prefix}")
        keys = self._below(prefix)
        start = bisect_right(keys, after)
        page_of_keys = keys[start : start + self.page_size]
        return [self._stored(key) for key in page_of_keys], start + len(page_of_keys) < len(keys)

    def level(self, prefix: str) -> Iterator[tuple[list[str], list[StoredObject]]]:
        """Yield the prefixes one ``/`` below a prefix and its objects."""
        children: dict[str, None] = {}
        for key in self._below(prefix):
            rest = key[len(prefix) :]
            children[prefix + rest.split("/")[0] + "/" if "/" in rest else key] = None
        entries = list(children)
        for start in range(0, max(len(entries), 1), self.page_size):
            self.requests.append(f"LIST {prefix} /")
            page = entries[start : start + self.page_size]
            objects = [self._stored(key) for key in page if key in self.contents]
            yield [entry for entry in page if entry not in self.contents], objects

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or a range of them."""
        self.requests.append(f"GET {key}")
        if key not in self.contents:
            raise NotFoundError(f"{key} does not exist")
        return self.contents[key][start : None if length is None else start + length]

    def write(self, key: str, body: bytes) -> None:
        """Store an object."""
        self.requests.append(f"PUT {key}")
        self.contents[key] = body

    def _below(self, prefix: str) -> list[str]:
        keys = sorted(self.contents)
        return keys[bisect_left(keys, prefix) : bisect_left(keys, prefix + "\U0010ffff")]

    def _stored(self, key: str) -> StoredObject:
        body = self.contents[key]
        return StoredObject(key, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest())
