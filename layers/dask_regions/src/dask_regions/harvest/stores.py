"""The variables of Zarr stores in a bucket: the metadata, and the chunks of coordinates."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.buffer import Buffer
from zarr.buffer import cpu
from zarr.storage import MemoryStore

from dask_regions.errors import NotFoundError
from dask_regions.harvest.base import ObjectStore
from dask_regions.harvest.cubes import Variable, check_size
from dask_regions.harvest.listing import CONSOLIDATED, VERSION_3

__all__ = ["ZarrCube"]

# A request each, one after the other: more would take the time of a whole shard.
_MOST_CHUNKS = 2000

_Document = Mapping[str, Any]
#: Path of each metadata document in the store, e.g. ``tas/.zarray`` or ``tas/zarr.json``.
_Documents = dict[str, _Document]


class ZarrCube:
    """The variables of a store's root group; of its chunks only those of coordinates are read.

    Parameters
    ----------
    objects
        The bucket.
    store
        Key of the store, ending with ``/``.
    consolidated
        Whether a store without consolidated metadata is refused. Reading one takes a request for each
        document of each array.

    Raises
    ------
    NotFoundError
        Where there is no metadata, or none that is consolidated.
    """

    def __init__(self, objects: ObjectStore, store: str, *, consolidated: bool = False) -> None:
        self._objects, self._key = objects, store
        self._format, self._consolidated, documents = _metadata(objects, store)
        if consolidated and not self._consolidated:
            raise NotFoundError(f"{CONSOLIDATED} is missing; consolidate with zarr.consolidate_metadata")
        read = _version_2 if self._format == 2 else _version_3
        self.attributes, self.variables = read(documents)
        self._local: dict[str, Buffer] = {
            key: cpu.Buffer.from_bytes(json.dumps(document).encode()) for key, document in documents.items()
        }

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of the zarr extension 1.1."""
        return {
            "zarr:consolidated": self._consolidated,
            "zarr:zarr_format": self._format,
            "zarr:node_type": "group",
        }

    def values(self, name: str) -> NDArray[Any]:
        """Return all values of a variable."""
        array = self._array(name, ends=False)
        return np.asarray(array[...])

    def ends(self, name: str) -> NDArray[Any]:
        """Return the first and last values along the first dimension, from at most two rows of chunks."""
        array = self._array(name, ends=True)
        if not array.shape:
            return np.stack([np.asarray(array[()])] * 2)
        return np.stack([np.asarray(array[0]), np.asarray(array[-1])])

    def _array(self, name: str, *, ends: bool) -> zarr.Array[Any]:
        array = zarr.open_array(MemoryStore(self._local), path=name, mode="r", zarr_format=self._format)
        if not ends:
            check_size(name, array.shape, array.dtype)
        chunks = array.shards or array.chunks
        grid: Sequence[Sequence[int]] = [
            range(-(-size // chunk)) for size, chunk in zip(array.shape, chunks, strict=True)
        ]
        if ends and grid:
            grid = [sorted({grid[0][0], grid[0][-1]}), *grid[1:]]
        if (count := math.prod(map(len, grid))) > _MOST_CHUNKS:
            raise ValueError(f"coordinate {name} has {count} chunks: too many to read; rechunk it")
        for indexes in product(*grid):
            self._fetch(f"{name}/{array.metadata.encode_chunk_key(indexes)}")
        return array

    def _fetch(self, key: str) -> None:
        if key in self._local:
            return
        try:
            self._local[key] = cpu.Buffer.from_bytes(self._objects.read(self._key + key))
        except NotFoundError as error:
            # Zarr lets a chunk of fill values be absent; a coordinate of them would make a wrong extent.
            raise NotFoundError(f"chunk {key} of a coordinate is missing; copy the store again") from error


def _metadata(objects: ObjectStore, store: str) -> tuple[Any, bool, _Documents]:
    """Return the store's format, whether it is consolidated, and the documents of it and its arrays."""
    if (consolidated := _load(objects, store + CONSOLIDATED)) is not None:
        return 2, True, dict(consolidated["metadata"])
    if (root := _load(objects, store + VERSION_3)) is not None:
        nodes = (root.get("consolidated_metadata") or {}).get("metadata")
        if nodes is not None:
            return 3, True, {VERSION_3: root, **{f"{name}/{VERSION_3}": node for name, node in nodes.items()}}
        return 3, False, {VERSION_3: root, **_documents(objects, store, (VERSION_3,))}
    if (group := _load(objects, store + ".zgroup")) is not None:
        attributes = _load(objects, store + ".zattrs") or {}
        return (
            2,
            False,
            {
                ".zgroup": group,
                ".zattrs": attributes,
                **_documents(objects, store, (".zarray", ".zattrs")),
            },
        )
    raise NotFoundError(
        f"no {CONSOLIDATED}, {VERSION_3} or .zgroup: not a Zarr group; write one with xarray's to_zarr"
    )


def _documents(objects: ObjectStore, store: str, names: Sequence[str]) -> _Documents:
    children = [child for prefixes, _ in objects.level(store) for child in prefixes]
    keys = [child.removeprefix(store) + name for child in children for name in names]
    documents = ((key, _load(objects, store + key)) for key in keys)
    return {key: document for key, document in documents if document is not None}


def _load(objects: ObjectStore, key: str) -> Any:
    try:
        return json.loads(objects.read(key))
    except NotFoundError:
        return None


def _version_2(documents: _Documents) -> tuple[_Document, dict[str, Variable]]:
    variables = {}
    for key, array in documents.items():
        name, _, document = key.rpartition("/")
        if document == ".zarray" and name and "/" not in name:
            attributes = documents.get(f"{name}/.zattrs", {})
            shape = tuple(array["shape"])
            dimensions = tuple(attributes.get("_ARRAY_DIMENSIONS") or _unnamed(name, shape))
            chunks = tuple(array["chunks"])
            variables[name] = Variable(name, dimensions, shape, attributes, _dtype(array["dtype"]), chunks)
    return documents.get(".zattrs", {}), variables


def _version_3(documents: _Documents) -> tuple[_Document, dict[str, Variable]]:
    variables = {}
    for key, node in documents.items():
        name = key.rpartition("/")[0]
        if node["node_type"] == "array" and name and "/" not in name:
            shape = tuple(node["shape"])
            dimensions = tuple(node.get("dimension_names") or _unnamed(name, shape))
            chunks, shards = _grid(node)
            attributes = node.get("attributes", {})
            dtype = _dtype(node["data_type"])
            variables[name] = Variable(name, dimensions, shape, attributes, dtype, chunks, shards)
    return documents[VERSION_3].get("attributes", {}), variables


def _grid(node: _Document) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Return the shape of chunks, and of the shards that hold them where there are any."""
    outer = tuple(node["chunk_grid"]["configuration"]["chunk_shape"])
    for codec in node.get("codecs", ()):
        if codec.get("name") == "sharding_indexed":
            return tuple(codec["configuration"]["chunk_shape"]), outer
    return outer, None


def _dtype(name: Any) -> np.dtype[Any] | None:
    try:
        dtype: np.dtype[Any] = np.dtype(name)
    except (TypeError, ValueError):  # types of Zarr's that NumPy lacks, such as variable-length text
        return None
    return dtype


def _unnamed(name: str, shape: Sequence[int]) -> list[str]:
    return [f"{name}_dim_{axis}" for axis in range(len(shape))]
