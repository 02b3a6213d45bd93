"""Open one file or store where it is: this runs on a worker of its Region."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import xarray as xr
from dask.base import tokenize

from dask_regions.client.opening.sources import Source
from dask_regions.data.array import mark
from dask_regions.data.guard import check_region
from dask_regions.errors import NotFoundError, UnavailableError

__all__ = ["open_file"]


def open_file(source: Source) -> bytes:
    """Open a file or store in a process of its Region; return a pickled dataset without data.

    It is pickled, because Dask would measure a Dataset by reading it all (``xarray_sizeof_ds`` in
    ``dask/sizeof.py``, 2026.8.0).

    Raises
    ------
    NotFoundError
        Where the Region's file system does not have the file.
    UnavailableError
        Where it cannot be opened.
    WrongRegionError
        In another Region's process.
    """
    check_region(source.region, source.path)
    path = Path(source.path)
    if not path.exists():
        raise NotFoundError(
            f"{source.path} is not on the file system of {source.region}; synchronise the catalog: "
            "dask-regions sync"
        )
    options: dict[str, Any] = {"engine": "h5netcdf"}
    if source.zarr:
        options = {"engine": "zarr", "consolidated": source.consolidated}
    token = tokenize(_modification(path), source.options) if source.options else _modification(path)
    try:
        dataset = xr.open_dataset(path, chunks=None, cache=False, **options, **dict(source.options))
        marked = mark(dataset, region=source.region, path=source.path, token=token, content=_content(path))
    except (OSError, ValueError, KeyError) as error:
        raise UnavailableError(
            f"{source.path} in {source.region} cannot be opened as {'Zarr' if source.zarr else 'NetCDF-4'}: "
            f"{error}; compare it with the original{source.asset and f' ({source.asset!r} of its Item)'}, "
            "which may be damaged or still being written"
        ) from error
    return pickle.dumps(marked)


def _metadata(path: Path) -> list[Path]:
    """Return the file itself, or what there is of a Zarr store's metadata at its root."""
    names = (".zmetadata", "zarr.json", ".zgroup")
    return [path] if path.is_file() else [path / name for name in names if (path / name).exists()]


def _modification(path: Path) -> str:
    """Return what changes when a file, or the metadata of a Zarr store, is written anew."""
    statuses = [file.stat() for file in _metadata(path)]
    return tokenize([(status.st_size, status.st_mtime_ns) for status in statuses])


def _content(path: Path) -> str:
    """Return what is equal in replicas: a file's size, or the metadata of a Zarr store."""
    if path.is_file():
        return str(path.stat().st_size)
    return tokenize([(file.name, file.read_bytes()) for file in _metadata(path)])
