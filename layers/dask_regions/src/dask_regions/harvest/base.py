"""What every layout's harvester shares: where objects come from, and what is reported.

To add a layout: name it in :data:`dask_regions.models.Layout`, write a module with a subclass of
:class:`Harvester` that finds its sources and reads one of them, and register the class in
:data:`HARVESTERS`. :class:`MemoryObjects` lets its tests run without S3.
"""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

from dask_regions.errors import NotFoundError
from dask_regions.models import Dataset, Layout

__all__ = [
    "HARVESTERS",
    "Harvester",
    "MemoryObjects",
    "ObjectStore",
    "Record",
    "Skipped",
    "StoredObject",
    "harvest",
]

#: Class of each layout as ``module:class``: a name, because the modules import zarr or h5py.
HARVESTERS: Mapping[Layout, str] = {
    "cmip6": "dask_regions.harvest.cmip6:Cmip6Harvester",
    "era5": "dask_regions.harvest.era5:Era5Harvester",
}

# What broken metadata raise in json, zarr, numcodecs, h5py and cftime. Errors of the service itself
# (throttling, a lost connection) are none of these: they fail the Region, which then keeps its old Items.
_BROKEN = (NotFoundError, ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_BATCH = 256

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; the size is in bytes."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A store or file that the catalog leaves out, and why."""

    key: str
    reason: str


#: A STAC Item, or what had to be left out.
Record = dict[str, Any] | Skipped


class ObjectStore(Protocol):
    """One bucket. Implementations are used from several threads at once and keep no position.

    Keys come in the order of their UTF-8 bytes. A key that does not exist, or that may not be read,
    raises :class:`~dask_regions.errors.NotFoundError`; any other failure of the service raises an
    error of another kind.
    """

    def prefixes(self, prefix: str) -> list[str]:
        """Return the prefixes one ``/`` below a prefix; each ends with ``/``."""

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return the first objects whose key is beyond ``after``, and whether there are more."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or a range of them."""


class MemoryObjects:
    """An :class:`ObjectStore` over a mapping of keys to bytes, for tests.

    Examples
    --------
    >>> MemoryObjects({"a/b/c": b"1"}).prefixes("a/")
    ['a/b/']
    """

    def __init__(self, contents: Mapping[str, bytes], page_size: int = 1000) -> None:
        self.contents = contents
        self.page_size = page_size
        self.requests: list[str] = []

    def prefixes(self, prefix: str) -> list[str]:
        """Return the prefixes one ``/`` below a prefix."""
        self.requests.append(f"LIST {prefix} /")
        rests = [key[len(prefix) :] for key in self.contents if key.startswith(prefix)]
        return sorted({prefix + rest.split("/")[0] + "/" for rest in rests if "/" in rest})

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return the first objects beyond ``after``, and whether there are more."""
        self.requests.append(f"LIST {prefix}")
        keys = sorted(key for key in self.contents if key.startswith(prefix) and key > after)
        first = [StoredObject(key, len(self.contents[key])) for key in keys[: self.page_size]]
        return first, len(keys) > self.page_size

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or a range of them."""
        self.requests.append(f"GET {key}")
        if key not in self.contents:
            raise NotFoundError(f"{key} does not exist")
        return self.contents[key][start : None if length is None else start + length]


class Harvester(ABC):
    """Finds and reads the stores or files of one dataset.

    Parameters
    ----------
    dataset
        Whose Items these are.
    objects
        Its bucket.
    """

    def __init__(self, dataset: Dataset, objects: ObjectStore) -> None:
        self.dataset = dataset
        self.objects = objects

    @abstractmethod
    def sources(self) -> Iterator[str]:
        """Yield the prefix of the keys of each Item; keys that do not fit the layout are passed over."""

    @abstractmethod
    def read(self, source: str) -> list[Record]:
        """Return the Item of a source, and what was left out of it. Called from several threads."""

    def attempt(self, key: str, read: Callable[[], _T]) -> _T | Skipped:
        """Return what a function reads, or why the key has to be skipped."""
        try:
            return read()
        except _BROKEN as error:
            return Skipped(f"s3://{self.dataset.bucket}/{key}", f"{type(error).__name__}: {error}")

    def read_or_skip(self, source: str) -> list[Record]:
        """Return the records of a source; one that cannot be read is a record of that."""
        records = self.attempt(source, lambda: self.read(source))
        return [records] if isinstance(records, Skipped) else records


def harvest(dataset: Dataset, objects: ObjectStore, threads: int = 8) -> Iterator[Record]:
    """Yield the STAC Items of a dataset, and what was skipped, in the order of the keys.

    Parameters
    ----------
    dataset
        What to look for and where.
    objects
        The dataset's bucket.
    threads
        How many sources are read at once; most of the time goes into waiting for S3.
    """
    harvester: Harvester = pkgutil.resolve_name(HARVESTERS[dataset.layout])(dataset, objects)
    with ThreadPoolExecutor(threads) as pool:
        for batch in _batches(harvester.sources()):
            yield from chain.from_iterable(pool.map(harvester.read_or_skip, batch))


def _batches(sources: Iterable[str]) -> Iterator[list[str]]:
    # An executor's map takes all of its input at once: listing would be over before reading starts.
    iterator = iter(sources)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
