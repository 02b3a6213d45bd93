"""What every layout's harvester shares: where objects come from, and what is found in them.

The layout ``netcdf`` takes any NetCDF files below a prefix, an Item each, ``zarr`` any stores: a layout is
needed where the keys say more, or several sources make one Item. Copy ``layouts/netcdf_prefix.py`` for an
Item a file, ``layouts/era5.py`` for an Item of several.

To add a layout: name it in :data:`dask_regions.models.Layout`, write a module with a subclass of
:class:`Harvester` that lists its sources and reads one of them, and register the class in
:data:`HARVESTERS`. Its tests need no S3: they read a bucket in memory (``testing/sync/memory_bucket.py``).

A source is a store, a file, or a set of them that becomes one Item. It is told by its key, and by a
fingerprint that comes from the listing alone: what has not changed is not read again.
"""

from __future__ import annotations

import hashlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from dask_regions.errors import NotFoundError
from dask_regions.models import Dataset, Layout

__all__ = [
    "HARVESTERS",
    "Harvester",
    "ObjectStore",
    "Reading",
    "Source",
    "StoredObject",
    "Unreadable",
    "digest",
    "open_harvester",
    "printable",
    "salt",
]

#: Class of each layout as ``module:class``: a name, because the modules import zarr or h5py.
HARVESTERS: Mapping[Layout, str] = {
    "cmip6": "dask_regions.harvest.layouts.cmip6:Cmip6Harvester",
    "era5": "dask_regions.harvest.layouts.era5:Era5Harvester",
    "era5-ncar": "dask_regions.harvest.layouts.era5_ncar:NcarEra5Harvester",
    "netcdf": "dask_regions.harvest.layouts.netcdf_prefix:NetcdfHarvester",
    "zarr": "dask_regions.harvest.layouts.zarr_prefix:ZarrHarvester",
}

# This is part of every fingerprint. Raise it when harvesters make other Items of the same data: all of them
# are read again.
_VERSION = 2

# Broken metadata raise these in json, zarr, numcodecs, h5py and cftime. Errors of the service itself
# (throttling, a lost connection) are none of these: they fail the Region, which then keeps its old Items.
_BROKEN = (
    NotFoundError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
_MAX_REASON_CHARACTERS = 300

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; the size is in bytes."""

    key: str
    size: int
    etag: str = ""

    @property
    def fingerprint(self) -> str:
        """Changes when the object is written anew with other bytes."""
        return f"{self.etag}-{self.size}"


@dataclass(frozen=True, slots=True)
class Source:
    """What becomes one Item: its key (of a file) or prefix (of a store), and what tells its state.

    Attributes
    ----------
    consolidated
        False of a store whose arrays may change without its fingerprint.
    """

    key: str
    fingerprint: str
    consolidated: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from a source.

    Attributes
    ----------
    item
        STAC Item, or None where there is nothing to show.
    reasons
        Why it, or some of its files, had to be left out.
    retry
        Whether a reason may vanish without a sign in the listing: something is missing that may be on its
        way, or may not be read yet.
    """

    item: dict[str, Any] | None
    reasons: tuple[str, ...] = ()
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A store or file that could not be read, why, and whether to try again: see :class:`Reading`."""

    reason: str
    retry: bool = False


class ObjectStore(Protocol):
    """One bucket. Implementations are used from several threads at once and keep no position.

    Keys come in the order of their UTF-8 bytes, which is that of Python's ``str``. A key that does not
    exist, or that may not be read, raises :class:`~dask_regions.errors.NotFoundError`; any other failure
    of the service raises an error of another kind.
    """

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return the first objects whose key is beyond ``after``, and whether there are more."""

    def level(self, prefix: str) -> Iterator[tuple[list[str], list[StoredObject]]]:
        """Yield, by pages, the prefixes one ``/`` below a prefix (with it at their end) and its objects."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or a range of them."""


class Harvester(ABC):
    """Lists and reads the sources of one dataset.

    Parameters
    ----------
    dataset
        Whose Items these are.
    objects
        Its bucket.
    """

    #: About how many sources lie between two :meth:`cuts`.
    sources_per_cut: ClassVar[int] = 10

    def __init__(self, dataset: Dataset, objects: ObjectStore) -> None:
        self.dataset = dataset
        self.objects = objects

    @abstractmethod
    def cuts(self) -> list[str]:
        """Return keys, in order, at which the listing may be cut into shards.

        They need not be exact: every source lies before, between or after them. Few requests make them.
        """

    @abstractmethod
    def sources(self, after: str = "", last: str | None = None) -> Iterator[Source]:
        """Yield the sources with ``after < key <= last`` in the order of their keys, from listings alone.

        Keys that do not fit the layout are passed over.
        """

    @abstractmethod
    def read(self, key: str) -> Reading:
        """Return the Item of a source. Called from several threads; may raise what broken data raise."""

    def prefixes(self, prefix: str) -> list[str]:
        """Return the prefixes one ``/`` below a prefix."""
        return [child for children, _ in self.objects.level(prefix) for child in children]

    def attempt(self, read: Callable[[], _T]) -> _T | Unreadable:
        """Return what a function reads, or why it cannot."""
        try:
            return read()
        except _BROKEN as error:
            reason = printable(f"{type(error).__name__}: {error}")[:_MAX_REASON_CHARACTERS]
            return Unreadable(reason, retry=isinstance(error, NotFoundError))

    def read_or_skip(self, key: str) -> Reading:
        """Return what :meth:`read` does; a source that cannot be read is a reading that says so."""
        if not key.isprintable():
            reason = "its key has characters that cannot be printed; copy it to another key"
            return Reading(None, (reason,))
        reading = self.attempt(lambda: self.read(key))
        if isinstance(reading, Unreadable):
            return Reading(None, (reading.reason,), reading.retry)
        return reading


def open_harvester(dataset: Dataset, objects: ObjectStore) -> Harvester:
    """Return the harvester of a dataset's layout."""
    harvester: Harvester = pkgutil.resolve_name(HARVESTERS[dataset.layout])(dataset, objects)
    return harvester


def salt(dataset: Dataset) -> str:
    """Return what Items depend on besides the data: a change of it has every source read again."""
    # The Collection's own words do not enter Items.
    shown = dataset.model_dump_json(exclude={"description", "license", "replicas", "manifest"})
    return digest((str(_VERSION), shown))


def digest(parts: Iterable[str]) -> str:
    """Return 16 hexadecimal digits of SHA-256 over texts, which may hold any character."""
    sha = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        sha.update(len(encoded).to_bytes(8) + encoded)
    return sha.hexdigest()[:16]


def printable(text: str) -> str:
    """Return a text in one line that is safe to show: keys may hold any character, also a terminal's.

    Examples
    --------
    >>> printable("a\\nb")
    'a\\\\nb'
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
