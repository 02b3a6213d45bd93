"""Harvest NetCDF-4 files under the keys of ERA5 on AWS: ``<prefix>YYYY/MM/data/<variable>.nc``.

A month is one Item with an Asset per file. A file may cover more than its month, e.g. a decade:
its time coordinate says so, and where it has none, the dataset's ``period``.
"""

from __future__ import annotations

import calendar
import io
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dask_regions.harvest.base import Harvester, ObjectStore, Record, Skipped, StoredObject
from dask_regions.harvest.coordinates import Description, Variable, describe, merge
from dask_regions.harvest.item import NETCDF, asset, item

__all__ = ["Era5Harvester", "NetcdfCube", "RangedReader", "period_interval"]

_YEAR, _MONTH = re.compile(r"\d{4}/$"), re.compile(r"(0[1-9]|1[0-2])/$")
_BLOCK = 1 << 20
_BLOCKS = 32


class Era5Harvester(Harvester):
    """One Item per ``YYYY/MM``."""

    def sources(self) -> Iterator[str]:
        """Yield the prefix of every month; other prefixes, such as ``zarr/``, are not entered."""
        root = len(self.dataset.prefix)
        for year in self.objects.prefixes(self.dataset.prefix):
            if _YEAR.fullmatch(year, root):
                months = self.objects.prefixes(year)
                yield from (month for month in months if _MONTH.fullmatch(month, len(year)))

    def read(self, source: str) -> list[Record]:
        """Return the Item of a month, and the files that had to be left out of it."""
        files = [one for one in self._objects_below(source + "data/") if one.key.endswith(".nc")]
        read = {one: self.attempt(one.key, lambda one=one: self._describe(one)) for one in files}  # type: ignore[misc]
        good = {one: result for one, result in read.items() if isinstance(result, Description)}
        skipped: list[Record] = [result for result in read.values() if isinstance(result, Skipped)]
        return [*([self._item(source, good)] if good else []), *skipped]

    def _item(self, source: str, files: Mapping[StoredObject, Description]) -> dict[str, Any]:
        month = "-".join(source.removeprefix(self.dataset.prefix).strip("/").split("/"))
        description = merge(list(files.values()))
        interval = description.interval or period_interval(month, self.dataset.period)
        assets = {
            PurePosixPath(one.key).stem: asset(self.dataset, one.key, NETCDF, **{"file:size": one.size})
            for one in files
        }
        properties = {"title": f"{self.dataset.title}, {month}"}
        return item(self.dataset, f"{self.dataset.id}.{month}", description, interval, assets, properties)

    def _describe(self, one: StoredObject) -> Description:
        with h5py.File(RangedReader(self.objects, one), "r") as file:
            return describe(NetcdfCube(file))

    def _objects_below(self, prefix: str) -> Iterator[StoredObject]:
        after, more = "", True
        while more:
            page, more = self.objects.page(prefix, after)
            yield from page
            after = page[-1].key if page else after


class NetcdfCube:
    """The variables of a NetCDF-4 file's root group, which is an HDF5 file with dimension scales."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        arrays = {name: node for name, node in file.items() if isinstance(node, h5py.Dataset)}
        # A dimension without coordinate values is stored as a dataset that only bears the name.
        self.variables = {
            name: Variable(name, _dimensions(name, array), array.shape, _attributes(array))
            for name, array in arrays.items()
            if not _text(array.attrs.get("NAME", b"")).startswith("This is a netCDF dimension but not")
        }

    def values(self, name: str) -> NDArray[Any]:
        """Return all values of a variable."""
        return np.asarray(self._file[name][()])

    def ends(self, name: str) -> NDArray[Any]:
        """Return the first and last values along the first dimension."""
        array = self._file[name]
        return np.stack([array[0], array[-1]] if array.shape else [array[()]] * 2)


class RangedReader(io.RawIOBase):
    """A seekable file over an object, read in blocks of 1 MiB: a file's metadata need a few of them.

    Parameters
    ----------
    objects
        The bucket.
    one
        The object; its size bounds the file.
    """

    def __init__(self, objects: ObjectStore, one: StoredObject) -> None:
        super().__init__()
        self._size, self._position = one.size, 0
        self._block = lru_cache(_BLOCKS)(lambda number: objects.read(one.key, number * _BLOCK, _BLOCK))

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset and return it."""
        self._position = (
            offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        )
        return self._position

    def tell(self) -> int:
        """Return the offset."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the object reaches; return the number of bytes."""
        # h5py takes one call to have filled the buffer, so a short read at a block's end is not enough.
        filled = 0
        while filled < len(buffer) and self._position < self._size:
            number, offset = divmod(self._position, _BLOCK)
            data = self._block(number)[offset : offset + len(buffer) - filled]
            if not data:
                raise OSError("the object is shorter than its listing said; it changed, sync again")
            buffer[filled : filled + len(data)] = data
            filled += len(data)
            self._position += len(data)
        return filled


def period_interval(month: str, period: str) -> tuple[str, str]:
    """Return start and end, RFC 3339, of a period that starts with a month.

    Parameters
    ----------
    month
        ``YYYY-MM``.
    period
        ISO 8601 duration in whole months or years, e.g. ``P1M`` or ``P10Y``.

    Examples
    --------
    >>> period_interval("2018-01", "P1M")
    ('2018-01-01T00:00:00Z', '2018-01-31T23:59:59Z')
    """
    start = datetime.fromisoformat(f"{month}-01")
    months = int(period[1:-1]) * (12 if period.endswith("Y") else 1)
    year, index = divmod(start.year * 12 + start.month - 1 + months - 1, 12)
    last = start.replace(year=year, month=index + 1, day=calendar.monthrange(year, index + 1)[1])
    end = last + timedelta(hours=23, minutes=59, seconds=59)
    return f"{start.isoformat()}Z", f"{end.isoformat()}Z"


def _dimensions(name: str, array: h5py.Dataset) -> tuple[str, ...]:
    if "DIMENSION_LIST" not in array.attrs and array.attrs.get("CLASS") == b"DIMENSION_SCALE":
        return (name, *(f"{name}_dim_{axis}" for axis in range(1, array.ndim)))[: array.ndim]
    return tuple(
        PurePosixPath(scales[0].name).name if len(scales) else f"{name}_dim_{axis}"
        for axis, scales in enumerate(array.dims)
    )


def _attributes(array: h5py.Dataset) -> dict[str, Any]:
    known = ("standard_name", "long_name", "units", "calendar", "axis", "positive", "bounds", "climatology")
    describing = ("coordinates", "grid_mapping", "ancillary_variables")
    return {name: _text(array.attrs[name]) for name in (*known, *describing) if name in array.attrs}


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
