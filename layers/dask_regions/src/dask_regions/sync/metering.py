"""Count the requests that a step makes."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from dask_regions.harvest.base import ObjectStore, StoredObject
from dask_regions.sync.staging import WritableStore
from dask_regions.sync.steps import Counts

__all__ = ["Metered", "MeteredStaging"]


class Metered:
    """An :class:`~dask_regions.harvest.base.ObjectStore` that counts; used from several threads at once.

    Retries inside the AWS SDK are not seen.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._lists = self._gets = self._listed = 0
        self._lock = Lock()

    @property
    def counts(self) -> Counts:
        """The requests so far."""
        return Counts(lists=self._lists, gets=self._gets, objects_listed=self._listed)

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return the first objects whose key is beyond ``after``, and whether there are more."""
        page, more = self._objects.page(prefix, after)
        self._note(len(page))
        return page, more

    def level(self, prefix: str) -> Iterator[tuple[list[str], list[StoredObject]]]:
        """Yield, by pages, the prefixes one ``/`` below a prefix and its objects."""
        for prefixes, page in self._objects.level(prefix):
            self._note(len(page))
            yield prefixes, page

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or a range of them."""
        with self._lock:
            self._gets += 1
        return self._objects.read(key, start, length)

    def _note(self, listed: int) -> None:
        with self._lock:
            self._lists += 1
            self._listed += listed


class MeteredStaging(Metered):
    """A :class:`~dask_regions.sync.staging.WritableStore` that counts."""

    def __init__(self, objects: WritableStore) -> None:
        super().__init__(objects)
        self._writable = objects
        self._puts = 0

    @property
    def counts(self) -> Counts:
        """The requests so far; a LIST costs what a PUT does, and is counted as one."""
        return Counts(staging_writes=self._puts + self._lists, staging_reads=self._gets)

    def write(self, key: str, body: bytes) -> None:
        """Store an object."""
        with self._lock:
            self._puts += 1
        self._writable.write(key, body)
