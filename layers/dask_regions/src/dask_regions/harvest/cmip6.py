"""Harvest Zarr stores under the keys of CMIP6 on AWS.

Keys are ``<prefix><activity>/<institution>/<source>/<experiment>/<member>/<table>/<variable>/<grid>/
v<date>/``, see https://pangeo-data.github.io/pangeo-cmip6-cloud. A store has consolidated metadata:
``.zmetadata`` (Zarr 2) or inside ``zarr.json`` (Zarr 3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.buffer import Buffer
from zarr.buffer import cpu
from zarr.storage import MemoryStore

from dask_regions.errors import NotFoundError
from dask_regions.harvest.base import Harvester, ObjectStore, Record
from dask_regions.harvest.coordinates import Variable, describe
from dask_regions.harvest.item import ZARR, asset, item

__all__ = ["Cmip6Harvester", "ZarrCube"]

_FACETS = (
    "activity_id",
    "institution_id",
    "source_id",
    "experiment_id",
    "variant_label",
    "table_id",
    "variable_id",
    "grid_label",
)
_STORE = re.compile(r"(?:[^/]+/){8}v\d+/")
# Down to the experiment there are few prefixes; below it a flat listing needs fewer requests.
_EXPERIMENT_DEPTH = 4
# Fixed fields (orography, land fraction) have no time: they hold at all times.
_ALL_TIMES = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")


class Cmip6Harvester(Harvester):
    """One Item per store."""

    def sources(self) -> Iterator[str]:
        """Yield the key of every store; the chunks of a store are skipped, not listed one by one."""
        for experiment in self._experiments():
            after, more = "", True
            while more:
                page, more = self.objects.page(experiment, after)
                stores = [self._store_of(one.key) for one in page]
                yield from dict.fromkeys(filter(None, stores))
                if page:
                    # '0' follows '/' in ASCII: the first key that is not below the last store.
                    after = stores[-1].removesuffix("/") + "0" if stores[-1] else page[-1].key

    def read(self, source: str) -> list[Record]:
        """Return the Item of a store."""
        cube = ZarrCube(self.objects, source)
        description = describe(cube)
        parts = source.removeprefix(self.dataset.prefix).rstrip("/").split("/")
        facets = dict(zip(_FACETS, parts[:-1], strict=True))
        zarr_asset = asset(self.dataset, source, ZARR, **cube.fields)
        properties = {
            "title": "{source_id} {experiment_id} {variable_id} {table_id}".format(**facets),
            "scenario": facets["experiment_id"],
            **{f"cmip6:{name}": value for name, value in facets.items()},
        }
        if frequency := cube.attributes.get("frequency"):
            properties["cmip6:frequency"] = str(frequency)
        item_id = ".".join(["CMIP6", *parts])
        interval = description.interval or _ALL_TIMES
        return [item(self.dataset, item_id, description, interval, {"zarr": zarr_asset}, properties)]

    def _experiments(self) -> list[str]:
        prefixes = [self.dataset.prefix]
        for _ in range(_EXPERIMENT_DEPTH):
            prefixes = [child for prefix in prefixes for child in self.objects.prefixes(prefix)]
        return prefixes

    def _store_of(self, key: str) -> str:
        match = _STORE.match(key, len(self.dataset.prefix))
        return key[: match.end()] if match else ""


class ZarrCube:
    """The variables of a consolidated store; of its chunks only those of coordinates are read.

    Parameters
    ----------
    objects
        The bucket.
    store
        Key of the store, ending with ``/``.

    Raises
    ------
    NotFoundError
        Without consolidated metadata.
    """

    def __init__(self, objects: ObjectStore, store: str) -> None:
        self._objects, self._key = objects, store
        self._format, metadata = _consolidated(objects, store)
        read = _version_2 if self._format == 2 else _version_3
        self.attributes, self.variables, documents = read(metadata)
        self._local: dict[str, Buffer] = {
            key: cpu.Buffer.from_bytes(json.dumps(one).encode()) for key, one in documents.items()
        }

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of the zarr extension 1.1."""
        return {"zarr:consolidated": True, "zarr:zarr_format": self._format, "zarr:node_type": "group"}

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
        chunks = array.shards or array.chunks
        grid: Sequence[Sequence[int]] = [
            range(-(-size // chunk)) for size, chunk in zip(array.shape, chunks, strict=True)
        ]
        if ends and grid:
            grid = [sorted({grid[0][0], grid[0][-1]}), *grid[1:]]
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


_Metadata = Mapping[str, Any]
_Parsed = tuple[_Metadata, dict[str, Variable], dict[str, _Metadata]]


def _consolidated(objects: ObjectStore, store: str) -> tuple[Any, _Metadata]:
    try:
        return 2, json.loads(objects.read(store + ".zmetadata"))["metadata"]
    except NotFoundError:
        pass
    try:
        root = json.loads(objects.read(store + "zarr.json"))
    except NotFoundError as error:
        raise NotFoundError(
            "neither .zmetadata nor zarr.json; consolidate with zarr.consolidate_metadata"
        ) from error
    if not root.get("consolidated_metadata"):
        raise NotFoundError("zarr.json is not consolidated; use zarr.consolidate_metadata")
    return 3, root


def _version_2(metadata: _Metadata) -> _Parsed:
    variables = {}
    for key, array in metadata.items():
        name, _, document = key.rpartition("/")
        if document == ".zarray" and "/" not in name:
            attributes = metadata.get(f"{name}/.zattrs", {})
            shape = tuple(array["shape"])
            dimensions = tuple(attributes.get("_ARRAY_DIMENSIONS") or _unnamed(name, shape))
            variables[name] = Variable(name, dimensions, shape, attributes)
    return metadata.get(".zattrs", {}), variables, dict(metadata)


def _version_3(root: _Metadata) -> _Parsed:
    nodes: dict[str, _Metadata] = root["consolidated_metadata"]["metadata"]
    variables = {}
    for name, node in nodes.items():
        if node["node_type"] == "array" and "/" not in name:
            shape = tuple(node["shape"])
            dimensions = tuple(node.get("dimension_names") or _unnamed(name, shape))
            variables[name] = Variable(name, dimensions, shape, node.get("attributes", {}))
    return root.get("attributes", {}), variables, {f"{name}/zarr.json": node for name, node in nodes.items()}


def _unnamed(name: str, shape: Sequence[int]) -> list[str]:
    return [f"{name}_dim_{axis}" for axis in range(len(shape))]
