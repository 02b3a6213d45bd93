"""A marker tells in which Regions data are held; arrays and stores carry it as ``__dask_region__``.

The attribute is the whole protocol: whatever stores a Region's name in it, or a tuple of the names of all
Regions that hold the same data, is *marked*. The scheduler finds it in what tasks hold, without
reading, importing or running anything of the object.
"""

from __future__ import annotations

import math
from types import MemberDescriptorType
from typing import Any, NamedTuple

__all__ = ["ABSENT", "Marker", "read_marker", "stored_attribute", "stored_nbytes"]

ABSENT = object()


class Marker(NamedTuple):
    """A marked array or store: the Regions that hold its data, and its size in bytes (0: unknown).

    It is no reference to the data: two arrays of the same size in the same Regions have equal markers.

    Attributes
    ----------
    regions
        The preferred Region first; more than one where there are replicas.
    nbytes
        Size of all its data.
    """

    regions: tuple[str, ...]
    nbytes: int


def read_marker(item: object, nbytes: int) -> Marker | None:
    """Return the marker that an object carries, or None.

    Parameters
    ----------
    item
        Anything.
    nbytes
        Size of the object's data in bytes, or of what wraps it.
    """
    regions = stored_attribute(item, "__dask_region__")
    if isinstance(regions, str):
        return Marker((regions,), nbytes)
    return Marker(regions, nbytes) if isinstance(regions, tuple) else None


def stored_nbytes(item: object) -> int:
    """Return the size that an array says it has, in bytes; 0 where it says none."""
    nbytes = stored_attribute(item, "nbytes")
    if isinstance(nbytes, int):
        return nbytes
    shape, dtype = stored_attribute(item, "shape"), stored_attribute(item, "dtype")
    if isinstance(shape, tuple) and hasattr(dtype, "itemsize"):
        return math.prod(shape) * int(dtype.itemsize)
    return 0


def stored_attribute(item: object, name: str) -> Any:
    """Return an attribute that an object stores, in its ``__dict__`` or a slot, and else ``ABSENT``.

    No property and no ``__getattr__`` is run: they may read the data.
    """
    try:
        stored = object.__getattribute__(item, "__dict__")
    except AttributeError:
        stored = {}
    if name in stored:
        return stored[name]
    for base in type(item).__mro__:
        slot = base.__dict__.get(name)
        if isinstance(slot, MemberDescriptorType):
            return getattr(item, name, ABSENT)
    return ABSENT
