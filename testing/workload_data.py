"""The datasets of the workloads: written once, and how peers read them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import urllib3
import xarray as xr
from dask.base import tokenize
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from testing.workloads import REGIONS, Size, time_axis

__all__ = ["VARIABLE", "GuardedStore", "RemoteStore", "item", "make"]

VARIABLE = "tas"
_SECONDS = 120.0


def make(directory: Path, size: Size) -> dict[str, Path]:
    """Write the datasets, or find them written.

    Parameters
    ----------
    directory
        Gets a folder per size.
    size
        Their shapes and chunks. 600 MB for ``FULL_SIZE``.

    Returns
    -------
    dict
        Path of each dataset: Zarr format 2, consolidated, not compressed (noise does not compress).
    """
    folder = directory / tokenize(asdict(size))[:8]
    stores = {name: folder / f"{name}.zarr" for name in REGIONS}
    for number, (name, store) in enumerate(stores.items()):
        if not (store / ".zmetadata").exists():  # written last
            dataset, chunks = _dataset(name, size, np.random.default_rng(number))
            encoding = {VARIABLE: {"chunks": chunks, "compressors": None}}
            dataset.to_zarr(store, mode="w", zarr_format=2, consolidated=True, encoding=encoding)
    return stores


def _dataset(name: str, size: Size, generator: np.random.Generator) -> tuple[xr.Dataset, tuple[int, ...]]:
    dimensions: dict[str, int]
    if name in ("a", "b"):
        dimensions = {"time": size.steps, "y": size.y, "x": size.x}
        chunks: tuple[int, ...] = (size.steps_per_chunk, size.y, size.x)
        values = generator.normal(280.0, 10.0, tuple(dimensions.values()))
        coordinates: Mapping[str, Any] = {"time": time_axis(size)}
        return xr.Dataset({VARIABLE: (tuple(dimensions), values)}, coordinates), chunks
    dimensions = {"latitude": size.latitudes, "longitude": size.longitudes}
    chunks = tuple(dimensions.values())
    if name == "forecast":
        dimensions = {"realization": size.realizations, "height": size.heights, **dimensions}
        chunks = (1, size.heights // 3, *chunks)
    single = generator.standard_normal(tuple(dimensions.values()), np.float32) * 10 + 280
    return xr.Dataset({VARIABLE: (tuple(dimensions), single)}), chunks


def item(store: Path, region: str) -> dict[str, Any]:
    """Return the STAC Item of a dataset, as the catalog of its Region would have it."""
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": store.stem,
        "collection": "wan",
        "properties": {"storage:schemes": {"fsx": {"type": "aws-fsx-lustre", "region": region}}},
        "assets": {
            "data": {
                "href": f"s3://wan/{store.name}",
                "type": "application/vnd+zarr",
                "roles": ["data"],
                "zarr:consolidated": True,
                "alternate": {"fsx": {"href": store.as_uri(), "storage:refs": ["fsx"]}},
            }
        },
    }


def _is_chunk(key: str) -> bool:
    return key.startswith(f"{VARIABLE}/") and not key.startswith(f"{VARIABLE}/.z")


class GuardedStore(WrapperStore[LocalStore]):
    """A store whose values only processes of one Region read, as on its file system; metadata all may.

    Parameters
    ----------
    path
        Of a dataset.
    region
        Compared with ``AWS_REGION`` at every read.
    """

    def __init__(self, path: Path, region: str) -> None:
        super().__init__(LocalStore(path, read_only=True))
        self._path, self._region = path, region

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._path, self._region)

    def with_read_only(self, read_only: bool = False) -> GuardedStore:
        return self

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read, or refuse in another Region."""
        here = os.environ.get("AWS_REGION")
        if _is_chunk(key) and here != self._region:
            raise PermissionError(f"{self._path.name}/{key} is in {self._region}, and this is {here}")
        return await super().get(key, prototype, byte_range)


class RemoteStore(WrapperStore[LocalStore]):
    """A store whose chunks are fetched from the web server beside the data; metadata are at hand.

    Parameters
    ----------
    path
        Of a dataset, whose metadata are read without a request, in favour of who uses this.
    url
        Of the same folder on the web server.
    """

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(LocalStore(path, read_only=True))
        self._path, self._url = path, url

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._path, self._url)

    def with_read_only(self, read_only: bool = False) -> RemoteStore:
        return self

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read metadata here, and chunks over the network."""
        if byte_range is not None or not _is_chunk(key):
            return await super().get(key, prototype, byte_range)
        content = await asyncio.to_thread(_fetch, f"{self._url}/{key}")
        return prototype.buffer.from_bytes(content)


def _fetch(url: str) -> bytes:
    answer = _pool().request("GET", url, timeout=_SECONDS, retries=False)
    if answer.status != 200:
        raise FileNotFoundError(f"{url}: status {answer.status}")
    return answer.data


@cache
def _pool() -> urllib3.PoolManager:
    """Return connections that stay open, enough for every thread of a process."""
    return urllib3.PoolManager(maxsize=32)
