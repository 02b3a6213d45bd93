"""The variables of NetCDF-4 files in a bucket: a few blocks of each are read, never its data."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dask_regions.harvest.base import ObjectStore, StoredObject
from dask_regions.harvest.coordinates import Description, describe
from dask_regions.harvest.cubes import Variable, check_size

__all__ = ["NetcdfCube", "RangedReader", "describe_file"]

_BLOCK_BYTES = 1 << 20
_MAX_BLOCKS = 32


def describe_file(objects: ObjectStore, entry: StoredObject) -> Description:
    """Describe a NetCDF-4 file by its coordinates."""
    with h5py.File(RangedReader(objects, entry), "r") as file:
        return describe(NetcdfCube(file))


class NetcdfCube:
    """The variables of a NetCDF-4 file's root group, which is an HDF5 file with dimension scales."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        arrays = {name: node for name, node in file.items() if isinstance(node, h5py.Dataset)}
        # A dimension without coordinate values is stored as a dataset that only bears the name.
        self.variables = {
            name: Variable(
                name, _dimensions(name, array), array.shape, _attributes(array), array.dtype, array.chunks
            )
            for name, array in arrays.items()
            if not _text(array.attrs.get("NAME", b"")).startswith("This is a netCDF dimension but not")
        }

    def values(self, name: str) -> NDArray[Any]:
        """Return all values of a variable."""
        array = self._file[name]
        check_size(name, array.shape, array.dtype)
        return np.asarray(array[()])

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
    entry
        The object; its size bounds the file.
    """

    def __init__(self, objects: ObjectStore, entry: StoredObject) -> None:
        super().__init__()
        self._size, self._position = entry.size, 0
        self._block = lru_cache(_MAX_BLOCKS)(
            lambda number: objects.read(entry.key, number * _BLOCK_BYTES, _BLOCK_BYTES)
        )

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
            number, offset = divmod(self._position, _BLOCK_BYTES)
            data = self._block(number)[offset : offset + len(buffer) - filled]
            if not data:
                raise OSError("the object is shorter than its listing said; it changed, sync again")
            buffer[filled : filled + len(data)] = data
            filled += len(data)
            self._position += len(data)
        return filled


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
