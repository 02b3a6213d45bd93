"""A Zarr store that knows its Region: found by the scheduler, guarded on workers, forwarded elsewhere."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype

from dask_regions.data.array import COORDINATE_LIMIT_BYTES
from dask_regions.data.contents import (
    MISSING,
    Cache,
    Location,
    Look,
    TooLarge,
    is_metadata,
    look,
    perform,
)
from dask_regions.data.forward import forward
from dask_regions.data.guard import check_region, process_region, refusal

if TYPE_CHECKING:
    from dask_regions.errors import WrongRegionError

__all__ = ["RegionStore"]

# The chunk's own part of a key, by which it differs from the other chunks of its array: `/c/0/1`, `/c`,
# `/c.0.1` in format 3, `/0.1` or `/0/1` in format 2.
_CHUNK = re.compile(r"(/c(\.\d+)*)?(/\d+(\.\d+)*)*$")


class _Version:
    """Changes with the metadata; shared by a store and its read-only copies."""

    def __init__(self, value: str = "") -> None:
        self.value = value
        self.node = ""

    def looked(self, node: str, version: str) -> None:
        # What is asked for below a node after the node itself, e.g. an array of a group that is not
        # consolidated, belongs to the same opening.
        below = bool(self.value) and node != self.node and f"{node}/".startswith(f"{self.node}/".lstrip("/"))
        if not below:
            self.node, self.value = node, version

    def written(self) -> None:
        self.node, self.value = "", uuid.uuid4().hex


class RegionStore(Store):
    """A store whose chunks are read and written by workers of its Region only.

    On a worker of the Region it is the store that it stands for. On any other worker it refuses. In the
    process that made it, such as a notebook, metadata and arrays of up to 1 MB travel through a worker of
    the Region, with the current Dask client; the rest is refused.

    Parameters
    ----------
    location
        The store, and the Region that holds it.
    read_only
        Whether writing is refused.
    version
        What a copy of it saw; changes when the metadata are written anew.

    Raises
    ------
    WrongRegionError
        From every method that reads or writes where it must not.
    EmptyPoolError, NotFoundError, UnavailableError
        From a notebook; see :func:`dask_regions.store`.

    Notes
    -----
    Two stores of the same location make the same Dask keys until the metadata change. Chunks that are
    written anew under unchanged metadata are not noticed; neither are they by
    :func:`dask_regions.open_dataset`.
    """

    def __init__(
        self, location: Location, *, read_only: bool = False, version: _Version | None = None
    ) -> None:
        super().__init__(read_only=read_only)
        self.__dask_region__ = location.region
        self._location = location
        self._version = version or _Version()
        self._travelled = False
        self._start()

    def _start(self) -> None:
        self._inner: Store | None = None
        self._cache = Cache(self._location)
        self._looks: dict[tuple[int, str], asyncio.Task[None]] = {}
        self._turns: dict[tuple[int, str], asyncio.Lock] = {}
        self._brought: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "location": self._location,
            "read_only": self._read_only,
            "version": self._version.value,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]
            state["location"], read_only=state["read_only"], version=_Version(state["version"])
        )
        self._travelled = True

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return (type(self).__name__, self._location, self._version.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RegionStore) and self._location == other._location

    def __hash__(self) -> int:
        return hash((self._location.region, str(self._location)))

    def __str__(self) -> str:
        return str(self._location)

    def __repr__(self) -> str:
        return f"<RegionStore {self._location} in {self._location.region}>"

    def with_read_only(self, read_only: bool = False) -> RegionStore:
        """Return a store of the same location that may, or may not, be written."""
        copy = RegionStore(self._location, read_only=read_only, version=self._version)
        copy._travelled = self._travelled
        return copy

    @property
    def supports_writes(self) -> bool:
        """True: what cannot be written says so when it is tried."""
        return True

    @property
    def supports_deletes(self) -> bool:
        """True, as :attr:`supports_writes`."""
        return True

    @property
    def supports_listing(self) -> bool:
        """True, as :attr:`supports_writes`."""
        return True

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read an object, or a part of it; None where there is none."""
        inner = self._local(key)
        if inner is not None:
            return await inner.get(key, prototype, byte_range)
        value = MISSING if byte_range is not None else await self._from_look(key)
        if value is MISSING:
            value = await self._bring(key, byte_range)
        return None if value is None else prototype.buffer.from_bytes(cast("bytes", value))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Read parts of several objects."""
        parts = (self.get(key, prototype, byte_range) for key, byte_range in key_ranges)
        return list(await asyncio.gather(*parts))

    async def exists(self, key: str) -> bool:
        """Whether there is an object."""
        inner = self._local(key)
        if inner is not None:
            return await inner.exists(key)
        value = await self._from_look(key)
        return bool(await self._forward("exists", key)) if value is MISSING else value is not None

    async def getsize(self, key: str) -> int:
        """Return the size of an object, in bytes."""
        return cast("int", await self._run("getsize", key))

    async def getsize_prefix(self, prefix: str) -> int:
        """Return the size of all objects below a prefix, in bytes."""
        return cast("int", await self._run("getsize_prefix", prefix))

    async def is_empty(self, prefix: str) -> bool:
        """Whether there is nothing below a prefix."""
        node = prefix.strip("/")
        if self._local(prefix) is None:
            # One look tells that and what is asked for next.
            if await self._from_look(f"{node}/zarr.json" if node else "zarr.json") not in (None, MISSING):
                return False
            if (known := self._cache.listing(node)) is not None:
                return not known
        return bool(await self._run("is_empty", prefix))

    async def list(self) -> AsyncIterator[str]:
        """Yield every key."""
        for key in await self._names("list"):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys below a prefix."""
        for key in await self._names("list_prefix", prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names directly below a prefix."""
        known = None if process_region() else self._cache.listing(prefix.strip("/"))
        for name in known if known is not None else await self._names("list_dir", prefix):
            yield name

    async def set(self, key: str, value: Buffer) -> None:
        """Write an object."""
        await self._write("set", key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write an object where there is none."""
        if process_region() is None and self._cache.get(key) not in (MISSING, None):
            return
        await self._write("set_if_not_exists", key, value)

    async def delete(self, key: str) -> None:
        """Delete an object."""
        await self._run("delete", key, write=True)
        self._cache.deleted(key)

    async def delete_dir(self, prefix: str) -> None:
        """Delete all objects below a prefix."""
        await self._run("delete_dir", prefix, write=True)
        self._cache.deleted(prefix)

    async def clear(self) -> None:
        """Delete everything."""
        await self._run("clear", write=True)
        self._cache.deleted("")

    def _local(self, key: str, verb: str = "read") -> Store | None:
        """Return the store itself in its Region, None in a process outside the pools, or refuse."""
        # One that came to this process inside a task is at work for it: on a worker outside the pools, every
        # task would bring another megabyte.
        if process_region() is None and not self._travelled:
            return None
        check_region(self._location.region, f"{self._location}, {key}" if key else str(self._location), verb)
        if self._inner is None:
            self._inner = self._location.open(read_only=self._read_only)
        return self._inner

    async def _from_look(self, key: str) -> object:
        """Return what opening the key's node brought along, or MISSING."""
        value = self._cache.get(key)
        if value is not MISSING or not is_metadata(key):
            return value
        node = str(PurePosixPath(key).parent)
        node = "" if node == "." else node
        pending = (id(asyncio.get_running_loop()), node)
        # Zarr asks for the documents of both formats at once: one look answers all.
        if pending not in self._looks:
            self._looks[pending] = asyncio.create_task(self._look(node))
            self._looks[pending].add_done_callback(lambda _: self._looks.pop(pending, None))
        await asyncio.shield(self._looks[pending])
        return self._cache.get(key)

    async def _look(self, node: str) -> None:
        region, what = self._location.region, str(self._location)
        seen: Look = await forward(region, what, look, self._location, node, self._read_only)
        self._cache.add(node, seen)
        self._version.looked(node, seen.version)

    async def _bring(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        array = _CHUNK.sub("", f"/{key}")
        brought = self._brought[array]
        # One after the other: together they could bring more than the limit.
        async with self._turns.setdefault((id(asyncio.get_running_loop()), array), asyncio.Lock()):
            limit = COORDINATE_LIMIT_BYTES - sum(size for other, size in brought.items() if other != key)
            value = await self._forward("get", key, byte_range, limit=limit)
            if isinstance(value, TooLarge):
                raise self._refusal(key, "read")
            if value is not None:
                brought[key] = max(brought.get(key, 0), len(value))
        return cast("bytes | None", value)

    async def _write(self, operation: str, key: str, value: Buffer) -> None:
        self._check_writable()
        inner = self._local(key, "written")
        if inner is not None:
            await getattr(inner, operation)(key, value)
            return
        if len(value) > COORDINATE_LIMIT_BYTES:
            raise self._refusal(key, "written")
        data = value.to_bytes()
        if is_metadata(key) and self._cache.get(key) == data:
            return  # Zarr and xarray write the same document several times
        await self._forward(operation, key, data)
        self._version.written()
        self._cache.written(key, data)

    async def _run(self, operation: str, *arguments: str, write: bool = False) -> Any:
        if write:
            self._check_writable()
        key = arguments[0] if arguments else ""
        inner = self._local(key, "written" if write else "read")
        if inner is not None:
            return await getattr(inner, operation)(*arguments)
        if write:
            self._version.written()
        return await self._forward(operation, *arguments)

    async def _names(self, operation: str, *arguments: str) -> Sequence[str]:
        inner = self._local(arguments[0] if arguments else "")
        if inner is not None:
            return [name async for name in getattr(inner, operation)(*arguments)]
        return cast("Sequence[str]", await self._forward(operation, *arguments))

    async def _forward(self, operation: str, *arguments: Any, limit: int = 0) -> Any:
        region, what = self._location.region, str(self._location)
        return await forward(
            region, what, perform, self._location, self._read_only, limit, operation, *arguments
        )

    def _refusal(self, key: str, verb: str) -> WrongRegionError:
        return refusal(self._location.region, f"{self._location}, {key} (of more than 1 MB)", verb)
