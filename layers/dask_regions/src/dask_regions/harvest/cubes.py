"""The variables of a store or file, whatever its format, and how much of them is in memory at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["COORDINATE_MEMORY", "CoordinateMemory", "Cube", "Variable", "check_size"]

#: Bytes of the largest coordinate that is read. Two-dimensional ones of a 1/12 degree ocean are 125 MB each.
MAX_COORDINATE_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class Variable:
    """One array of a store or file: its named dimensions, their sizes, and CF attributes.

    Attributes
    ----------
    dtype
        Of the values as they are stored; None where NumPy has none such.
    chunks, shards
        Sizes of what is read at once along each dimension, and of the objects that hold several of these;
        None where the array is stored in one piece, or without shards.
    """

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    attributes: Mapping[str, Any]
    dtype: np.dtype[Any] | None = None
    chunks: tuple[int, ...] | None = None
    shards: tuple[int, ...] | None = None

    def text(self, attribute: str) -> str:
        """Return an attribute as text, empty where there is none."""
        return str(self.attributes.get(attribute, ""))


class Cube(Protocol):
    """The variables of a store or file. Values are read when asked for, and only coordinates are."""

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Every array by name."""

    def values(self, name: str) -> NDArray[Any]:
        """Return all values of a variable."""

    def ends(self, name: str) -> NDArray[Any]:
        """Return the first and the last values along the first dimension, stacked; shape (2, ...)."""


def check_size(name: str, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Refuse to read a coordinate that would not fit into memory.

    Raises
    ------
    ValueError
        Where it has more than 128 MiB.
    """
    if math.prod(shape) * dtype.itemsize > MAX_COORDINATE_BYTES:
        raise ValueError(f"coordinate {name} has shape {tuple(shape)}: too large to read")


class CoordinateMemory:
    """Bytes of coordinates that all threads together look at; a thread waits until there is room for its own.

    The box around a grid takes seven times as much memory as one of its coordinates, and what was fetched
    twice as much: sixteen of the largest at once would be 18 GB.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Have so many bytes for a while; more than there are counts as all of them."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


#: The one budget of all threads of this process.
COORDINATE_MEMORY = CoordinateMemory(MAX_COORDINATE_BYTES)
