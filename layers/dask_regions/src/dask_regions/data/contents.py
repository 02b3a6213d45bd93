"""What of a Zarr store's contents travels to a notebook: read in its Region, remembered for seconds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import xarray as xr
import zarr
from dask.base import tokenize
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from dask_regions.data.guard import check_region
from dask_regions.errors import NotFoundError

__all__ = ["MISSING", "Cache", "Location", "Look", "TooLarge", "is_metadata", "look", "perform"]

#: Names of the documents that describe a node, of both formats of Zarr.
_METADATA = ("zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata")
#: A first look at a store brings no more: its metadata and the coordinates of its dimensions.
_LOOK_LIMIT_BYTES = 16_000_000
#: A look is good for so long. Opening asks again and again; another process may write meanwhile.
_CACHE_SECONDS = 10.0

MISSING: Final = object()


@dataclass(frozen=True)
class Location:
    """Where a store is. Carries no mark: the tasks that look after a store read no data.

    Attributes
    ----------
    region
        Region that holds it.
    target
        Absolute path on the file system of the Region's workers, URL, or a store.
    options
        ``storage_options`` of a URL.
    """

    region: str
    target: str | Store
    options: dict[str, Any] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return str(self.target)

    def open(self, *, read_only: bool) -> Store:
        """Return the store itself; for processes in its Region."""
        if isinstance(self.target, Store):
            same = self.target.read_only == read_only
            return self.target if same else self.target.with_read_only(read_only)
        if urlsplit(self.target).scheme:
            return FsspecStore.from_url(self.target, storage_options=self.options, read_only=read_only)
        return LocalStore(self.target, read_only=read_only)


@dataclass(frozen=True)
class Look:
    """What a notebook needs to open one node of a store.

    Attributes
    ----------
    objects
        Key to its bytes, None where there is no such object.
    listings
        Prefix to the names directly below it.
    version
        Changes when the metadata are written anew.
    """

    objects: dict[str, bytes | None]
    listings: dict[str, list[str]]
    version: str


@dataclass(frozen=True)
class TooLarge:
    """An object that stays in its Region; its size is in bytes."""

    nbytes: int


def is_metadata(key: str) -> bool:
    """Whether a key is of a node's metadata, not of its data."""
    return PurePosixPath(key).name in _METADATA


def look(location: Location, node: str, must_exist: bool) -> Look:
    """Read, in the store's Region, all that opening a node will ask for.

    Opens the node as xarray would and writes down what that reads, so that nothing here knows Zarr's
    formats or xarray's conventions.

    Parameters
    ----------
    location, node
        The store, and the path of a group or an array in it.
    must_exist
        Whether the store has to be there: to be read, and not to be made.

    Raises
    ------
    NotFoundError
        Where it is not.
    """
    check_region(location.region, str(location))
    recorder = _Recorder(location.open(read_only=True))
    keys = [f"{node}/{name}" if node else name for name in _METADATA]
    sync(_record(recorder, keys))
    if any(recorder.objects.values()):
        with suppress(Exception):  # the notebook will meet the same error, and say where
            _open(recorder, node)
    elif not sync(_names(recorder, node)) and must_exist and not sync(_names(recorder, "")):
        raise NotFoundError(
            f"there is nothing at {location} in Region {location.region}; check the path, or synchronise the "
            "catalog: dask-regions sync"
        )
    return Look(recorder.objects, recorder.listings, _version(recorder, location))


def perform(location: Location, read_only: bool, limit: int, operation: str, *arguments: Any) -> Any:
    """Run one operation of a store in its Region.

    Parameters
    ----------
    location, read_only
        The store.
    limit
        Bytes that ``get`` may return.
    operation, arguments
        A method of :class:`zarr.abc.store.Store` and what it takes, ``bytes`` for a ``Buffer``.

    Returns
    -------
    object
        ``bytes`` for a ``Buffer``, a list for a generator, :class:`TooLarge` above the limit.
    """
    check_region(location.region, str(location), "written" if operation in _WRITES else "read")
    return sync(_perform(location.open(read_only=read_only), limit, operation, arguments))


_WRITES = frozenset({"set", "set_if_not_exists", "delete", "delete_dir", "clear"})


async def _perform(store: Store, limit: int, operation: str, arguments: tuple[Any, ...]) -> Any:
    if operation == "get":
        key, byte_range = arguments
        value = await _get(store, key, byte_range)
        return value if value is None or len(value) <= limit else TooLarge(len(value))
    as_buffer = default_buffer_prototype().buffer.from_bytes
    converted = (as_buffer(value) if isinstance(value, bytes) else value for value in arguments)
    outcome = getattr(store, operation)(*converted)
    if hasattr(outcome, "__aiter__"):
        return [name async for name in outcome]
    return await outcome


async def _get(store: Store, key: str, byte_range: ByteRequest | None = None) -> bytes | None:
    try:
        value = await store.get(key, default_buffer_prototype(), byte_range)
    except FileNotFoundError:  # LocalStore, where not even its root is there
        return None
    return None if value is None else value.to_bytes()


async def _record(recorder: _Recorder, keys: Iterable[str]) -> None:
    await asyncio.gather(*(_get(recorder, key) for key in keys))


async def _names(recorder: _Recorder, node: str) -> list[str]:
    return [name async for name in recorder.list_dir(node)]


def _open(recorder: _Recorder, node: str) -> None:
    if isinstance(zarr.open(recorder, path=node, mode="r"), zarr.Array):
        return
    try:
        zarr.open_consolidated(recorder, path=node)
        consolidated = True
    except (ValueError, KeyError):
        consolidated = False
    xr.open_dataset(recorder, engine="zarr", group=node or None, consolidated=consolidated, chunks=None)  # type: ignore[arg-type]


def _version(recorder: _Recorder, location: Location) -> str:
    documents = {key: value for key, value in recorder.objects.items() if value and is_metadata(key)}
    store = recorder.inner
    changed: list[int] = []
    if isinstance(store, LocalStore):
        changed = [(store.root / key).stat().st_mtime_ns for key in sorted(documents)]
    return tokenize(location.region, sorted(documents.items()), changed)


class _Recorder(WrapperStore[Store]):
    """Writes down what is read through it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.objects: dict[str, bytes | None] = {}
        self.listings: dict[str, list[str]] = {}
        self._room = _LOOK_LIMIT_BYTES

    @property
    def inner(self) -> Store:
        return self._store

    @property
    def _supports_sync_io(self) -> bool:
        return False  # so that every read comes through `get`

    async def _ensure_open(self) -> None:
        pass  # LocalStore would raise here where its root is missing

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        try:
            value = await self._store.get(key, prototype, byte_range)
        except FileNotFoundError:
            value = None
        if byte_range is None and (value is None or len(value) <= self._room):
            self._room -= 0 if value is None else len(value)
            self.objects[key] = None if value is None else value.to_bytes()
        return value

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        for key, prototype, byte_range in requests:
            yield key, await self.get(key, prototype, byte_range)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        names = [name async for name in self._store.list_dir(prefix)]
        self.listings[prefix] = names
        for name in names:
            yield name


class Cache:
    """What looks at a store brought, for :data:`_CACHE_SECONDS` seconds, kept right when this process writes.

    Parameters
    ----------
    location
        The store. What one of its caches in this process writes, the others forget.
    clock
        Seconds.
    """

    _writes: ClassVar[Counter[tuple[str, str]]] = Counter()

    def __init__(self, location: Location, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = (location.region, str(location))
        self._clock = clock
        self._until = 0.0
        self._written = 0
        self._objects: dict[str, bytes | None] = {}
        self._listings: dict[str, list[str]] = {}
        self._absent: set[str] = set()

    def add(self, node: str, seen: Look) -> None:
        """Take over what a look at a node brought."""
        self._expire()
        self._objects |= seen.objects
        self._listings |= seen.listings
        if seen.listings.get(node) == []:
            self._absent.add(_below(node))
        self._keep()

    def get(self, key: str) -> object:
        """Return an object's bytes, None where it is known not to exist, or :data:`MISSING`."""
        self._expire()
        value = self._objects.get(key, MISSING)
        # Metadata alone are known to be absent: this process writes them, and workers write chunks.
        if value is MISSING and is_metadata(key) and any(map(key.startswith, self._absent)):
            return None
        return value

    def listing(self, prefix: str) -> list[str] | None:
        """Return the names below a prefix, or None where they are not known."""
        self._expire()
        return self._listings.get(prefix)

    def written(self, key: str, value: bytes) -> None:
        """Note what this process wrote."""
        self._expire()
        for prefix, names in self._listings.items():
            name = key.removeprefix(_below(prefix)).split("/")[0]
            if key.startswith(_below(prefix)) and name not in names:
                names.append(name)
        if is_metadata(key):
            self._objects[key] = value
        else:
            self._objects.pop(key, None)
        self._wrote()

    def deleted(self, key: str) -> None:
        """Note that this process deleted an object, or all below a prefix."""
        self._expire()
        self._listings.clear()
        self._absent.add(_below(key))
        gone = [other for other in self._objects if other == key or other.startswith(_below(key))]
        self._objects |= dict.fromkeys(gone)
        self._wrote()

    def _wrote(self) -> None:
        self._writes[self._store] += 1
        self._keep()

    def _keep(self) -> None:
        self._written = self._writes[self._store]
        self._until = self._clock() + _CACHE_SECONDS

    def _expire(self) -> None:
        if self._clock() >= self._until or self._written != self._writes[self._store]:
            self._objects.clear()
            self._listings.clear()
            self._absent.clear()


def _below(prefix: str) -> str:
    return prefix.rstrip("/") + "/" if prefix else ""
