"""Zarr stores of a Region, for every library that takes a store."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from zarr.abc.store import Store

from dask_regions.data.contents import Location
from dask_regions.data.store import RegionStore
from dask_regions.errors import RequestError

__all__ = ["store"]


def store(
    location: str | PathLike[str] | Store,
    *,
    region: str,
    storage_options: Mapping[str, Any] | None = None,
    read_only: bool = False,
) -> RegionStore:
    """Return a Zarr store that is read and written by the workers of one Region.

    It can be given wherever a Zarr store can: ``xr.open_zarr``, ``xr.open_mfdataset``, ``Dataset.to_zarr``,
    ``dask.array.from_zarr`` and ``to_zarr``, ``zarr.open``. This process needs no access to it.

    Parameters
    ----------
    location
        Absolute path on the file system of the Region's workers, URL (``s3://bucket/name.zarr``), or a
        picklable Zarr store.
    region
        Region that holds it, e.g. ``us-west-2``.
    storage_options
        For a URL, as fsspec takes them; they travel to the workers.
    read_only
        Whether writing is refused.

    Returns
    -------
    RegionStore
        Nothing is opened yet.

    Raises
    ------
    RequestError
        Where the path is not absolute, or options come without a URL.
    EmptyPoolError
        On first use, where the Region's pool stayed empty until the scheduler's timeout.
    NotFoundError
        On reading, where there is no store.
    UnavailableError
        On first use, where there is no client; connect first.
    WrongRegionError
        Where chunks would be read or written outside the Region: an array of more than 1 MB that is not
        chunked with Dask, or a task that the scheduler did not place.

    Examples
    --------
    >>> air = xr.open_zarr(dask_regions.store("/fsx/air.zarr", region="us-west-2")).air  # doctest: +SKIP
    >>> results = dask_regions.store("/fsx/results/mean.zarr", region="us-east-1")  # doctest: +SKIP
    >>> air.mean("time").to_dataset().to_zarr(results)  # doctest: +SKIP
    """
    if not region:
        raise RequestError("region", "name the Region that holds the store, e.g. us-west-2")
    if isinstance(location, Store):
        if storage_options:
            raise RequestError("storage_options", "they are for URLs; give them to the store itself")
        return RegionStore(Location(region, location), read_only=read_only or location.read_only)
    return RegionStore(Location(region, *_parse(fspath(location), storage_options)), read_only=read_only)


def _parse(location: str, storage_options: Mapping[str, Any] | None) -> tuple[str, dict[str, Any] | None]:
    address = urlsplit(location)
    if address.scheme and address.scheme != "file":
        return location, dict(storage_options) if storage_options else None
    if storage_options:
        raise RequestError(
            "storage_options", f"they are for URLs, and {location!r} is a path; leave them out"
        )
    path = PurePosixPath(address.path if address.scheme else location)
    if not path.is_absolute():
        raise RequestError(
            "location", f"{location!r} is no absolute path; write it as the workers of the Region see it"
        )
    return str(path), None
