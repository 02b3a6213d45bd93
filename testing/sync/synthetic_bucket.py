"""A bucket shaped like CMIP6 on AWS that holds no objects: its listings are made up as they are asked for.

How many objects a store has: about 25 of coordinates and metadata, and ``lognormal(ln 8, 1.9)`` chunks of
data, at most 20,000. That is a median of 34, a mean near 75, one store in a hundred with 700, one in a
thousand with 2,900. The mean is that of the real bucket, where 23 to 36 million objects make 0.36 to 0.5
million stores (64 to 72 each); the tail is that of three-dimensional ocean and six-hourly data.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from struct import pack
from typing import Any

from dask_regions.errors import NotFoundError
from dask_regions.harvest.base import ObjectStore, StoredObject

__all__ = ["PREFIX", "SyntheticBucket", "delimiter_walk"]

PREFIX = "CMIP6/"
_DEPTH = 9
_PAGE = 1000
_MEDIAN, _SPREAD, _MOST = 8.0, 1.9, 20_000
_ACTIVITIES = {"CMIP": ("historical", "piControl", "amip", "1pctCO2", "abrupt-4xCO2")} | {
    "ScenarioMIP": ("ssp119", "ssp126", "ssp245", "ssp370", "ssp585"),
    "DAMIP": ("hist-GHG", "hist-aer", "hist-nat"),
    "HighResMIP": ("control-1950", "highresSST-present"),
}
_TABLES = {
    "Amon": ("clt", "hfls", "hur", "hus", "pr", "prw", "psl", "rlut", "rsdt", "ta", "tas", "ua", "va", "zg"),
    "Lmon": ("mrso", "mrsos", "npp", "lai"),
    "Omon": ("mlotst", "sos", "so", "thetao", "tos", "uo", "vo", "zos"),
    "SImon": ("siconc", "sithick"),
    "day": ("pr", "psl", "tas", "tasmax", "tasmin", "uas"),
}
_COORDINATES = {"lat": 4, "lon": 8, "time": 12}


class SyntheticBucket:
    """An :class:`~dask_regions.harvest.base.ObjectStore` with so many stores.

    Parameters
    ----------
    stores
        How many stores it has.
    seed
        Of the random numbers of chunks.

    Attributes
    ----------
    keys
        Keys of the stores, in order.
    versions
        How often each store was written anew, by key, where it was.
    """

    def __init__(self, stores: int, seed: int = 1) -> None:
        chance = random.Random(seed)
        self.keys = sorted(islice(_keys(), stores))
        if len(self.keys) < stores:
            raise ValueError(f"there are only {len(self.keys)} names of stores; ask for fewer")
        self.chunks = {key: _chunks(chance) for key in self.keys}
        self.versions: dict[str, int] = {}
        self.lists = self.gets = 0

    @property
    def objects(self) -> int:
        """How many objects the bucket has."""
        return sum(len(_names(_variable(key), self.chunks[key])) for key in self.keys)

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return the first objects beyond ``after``, and whether there are more."""
        self.lists += 1
        objects = list(islice(self._listing(prefix, after), _PAGE + 1))
        return objects[:_PAGE], len(objects) > _PAGE

    def level(self, prefix: str) -> Iterator[tuple[list[str], list[StoredObject]]]:
        """Yield the prefixes one ``/`` below a prefix; not below a store."""
        children, position = list[str](), bisect_left(self.keys, prefix)
        while position < len(self.keys) and self.keys[position].startswith(prefix):
            child = self.keys[position][: self.keys[position].index("/", len(prefix)) + 1]
            children.append(child)
            position = bisect_left(self.keys, child[:-1] + "0")
        for start in range(0, max(len(children), 1), _PAGE):
            self.lists += 1
            yield children[start : start + _PAGE], []

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or a range of them."""
        self.gets += 1
        store = self.keys[max(bisect_right(self.keys, key) - 1, 0)]
        if not key.startswith(store):
            raise NotFoundError(f"{key} does not exist")
        body = _body(_variable(store), self.chunks[store], key.removeprefix(store))
        return body[start : None if length is None else start + length]

    def _listing(self, prefix: str, after: str) -> Iterator[StoredObject]:
        # A store's objects lie directly behind its key, so `after` is in the last store before it, or behind.
        position = max(bisect_right(self.keys, max(after, prefix)) - 1, 0)
        while position < len(self.keys):
            store = self.keys[position]
            names = _names(_variable(store), self.chunks[store])
            first = bisect_right(names, after.removeprefix(store)) if after.startswith(store) else 0
            if store < after and first == 0 and not after.startswith(store):
                first = len(names)
            etag = f"{store}{self.versions.get(store, 0)}"
            for name in names[first:]:
                if not (store + name).startswith(prefix):
                    if store + name > prefix:
                        return
                    continue
                yield StoredObject(store + name, 1000, etag if name == ".zmetadata" else "")
            position += 1


def delimiter_walk(bucket: ObjectStore) -> list[str]:
    """Return the stores as a walk with Delimiter finds them: a LIST or more for each prefix above a store."""
    prefixes = [PREFIX]
    for _ in range(_DEPTH):
        prefixes = [child for prefix in prefixes for page, _ in bucket.level(prefix) for child in page]
    return prefixes


def _keys() -> Iterator[str]:
    """Yield keys of stores, model by model, with a realistic number for each experiment: some 150."""
    for model in range(400):
        institution, source = f"I{model // 4:02}", f"MODEL-{model:03}"
        for activity, experiments in _ACTIVITIES.items():
            for number, experiment in enumerate(experiments):
                for member in range(1 + (model + 3 * number) % 8):
                    for table, variables in _TABLES.items():
                        for variable in variables:
                            facets = (activity, institution, source, experiment, f"r{member + 1}i1p1f1")
                            version = 20180701 + (model * 7 + member) % 28
                            yield f"{PREFIX}{'/'.join(facets)}/{table}/{variable}/gn/v{version}/"


def _chunks(chance: random.Random) -> int:
    return min(1 + int(chance.lognormvariate(0, _SPREAD) * _MEDIAN), _MOST)


def _variable(store: str) -> str:
    return store.split("/")[-4]


@lru_cache(64)
def _names(variable: str, chunks: int) -> list[str]:
    """Return the names of a store's objects in their order."""
    names = [".zattrs", ".zgroup", ".zmetadata", f"{variable}/.zarray", f"{variable}/.zattrs"]
    names += [f"{variable}/{chunk}.0.0" for chunk in range(chunks)]
    for name in (*_COORDINATES, "lat_bnds", "lon_bnds", "time_bnds"):
        names += [f"{name}/.zarray", f"{name}/.zattrs", f"{name}/0.0" if "_" in name else f"{name}/0"]
    return sorted(names)


def _body(variable: str, chunks: int, name: str) -> bytes:
    if name == ".zmetadata":
        return _metadata(variable, chunks)
    coordinate = name.split("/")[0]
    size = _COORDINATES.get(coordinate)
    if size is None or not name.endswith("/0"):
        raise NotFoundError(f"{name} is not made up")
    step = {"lat": 40.0, "lon": 45.0, "time": 30.0}[coordinate]
    start = {"lat": -60.0, "lon": 0.0, "time": 0.0}[coordinate]
    return pack(f"<{size}d", *(start + step * index for index in range(size)))


@lru_cache(1024)
def _metadata(variable: str, chunks: int) -> bytes:
    def array(shape: list[int], piece: list[int], dtype: str) -> dict[str, Any]:
        plain = {"compressor": None, "fill_value": None, "filters": None, "order": "C", "zarr_format": 2}
        return {"shape": shape, "chunks": piece, "dtype": dtype, **plain}

    units = {"lat": "degrees_north", "lon": "degrees_east", "time": "days since 1850-01-01"}
    documents: dict[str, Any] = {".zgroup": {"zarr_format": 2}, ".zattrs": {"frequency": "mon"}}
    documents[f"{variable}/.zarray"] = array([12, 4, 8], [max(12 // chunks, 1), 4, 8], "<f4")
    documents[f"{variable}/.zattrs"] = {"_ARRAY_DIMENSIONS": ["time", "lat", "lon"], "units": "1"}
    for name, size in _COORDINATES.items():
        documents[f"{name}/.zarray"] = array([size], [size], "<f8")
        documents[f"{name}/.zattrs"] = {"_ARRAY_DIMENSIONS": [name], "units": units[name]}
    return json.dumps({"metadata": documents, "zarr_consolidated_format": 1}).encode()
