"""The steps of a sync over a made-up bucket, with SQLite as catalog and a directory for staging."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from dask_regions.catalog.engines import open_catalog
from dask_regions.errors import NotFoundError
from dask_regions.harvest.base import Reading, StoredObject
from dask_regions.harvest.item import item_id
from dask_regions.harvest.layouts.cmip6 import Cmip6Harvester
from dask_regions.models import Configuration
from dask_regions.sync.harvesting import harvest_shard
from dask_regions.sync.sharding import plan_shards
from dask_regions.sync.steps import Import, RegionShards, ShardStep, SwapRequest, generation_name
from dask_regions.sync.swapping import swap
from dask_regions.sync.writing import write_items
from testing.sync.synthetic_bucket import PREFIX, SyntheticBucket

__all__ = ["System"]

_REGION = "us-west-2"
_CONFIGURATION = {
    "regions": [
        {"name": "eu-west-2", "client": True, "cidr": "10.0.0.0/16"},
        {"name": _REGION, "cidr": "10.1.0.0/16", "pool": {}},
    ],
    "datasets": [
        {
            "id": "cmip6",
            "title": "Synthetic CMIP6",
            "description": "Made up",
            "region": _REGION,
            "bucket": "synthetic",
            "prefix": PREFIX,
            "layout": "cmip6",
            "fsx_path": "/fsx/synthetic/CMIP6",
        }
    ],
}


class System:
    """What the steps of a sync act on.

    Parameters
    ----------
    directory
        Of catalog and staging.
    stores, rewritten
        How many stores the bucket has; and of so many, that one was written anew since the first sync.
    read_every
        Of so many stores, one is read.
    """

    def __init__(self, directory: Path, stores: int, read_every: int, rewritten: int) -> None:
        self._configuration = Configuration.model_validate(_CONFIGURATION)
        self._bucket = SyntheticBucket(stores)
        if rewritten:
            self._bucket.versions = dict.fromkeys(self._bucket.keys[::rewritten], 1)
        self._catalog = open_catalog(f"sqlite:///{directory}/catalog.sqlite")
        self._staging = _Directory(directory / "staging")
        if read_every > 1:
            _read_some(read_every)

    def plan(self, run: int) -> dict[str, Any]:
        """Begin a generation and plan the shards."""
        now = datetime.now(UTC)
        generation = generation_name(now, str(run))
        self._catalog.begin(generation, [_REGION])
        step = Import(region=_REGION, generation=generation, task_id="task", started=now)
        return plan_shards(self._configuration, self._catalog, self._staging, lambda _: self._bucket, step)

    def harvest(self, shard: Any) -> dict[str, Any]:
        """Harvest a shard."""
        step = ShardStep.model_validate(shard)
        return harvest_shard(
            self._configuration, self._staging, lambda _: self._bucket, step, lambda: float("inf")
        )

    def write(self, planned: Any) -> dict[str, Any]:
        """Write the changes."""
        step = RegionShards.model_validate(planned)
        return write_items(self._configuration, self._catalog, self._staging, step, lambda: float("inf"))

    def swap(self, request: Any) -> dict[str, Any]:
        """Show them to readers."""
        return swap(self._configuration, self._catalog, self._staging, SwapRequest.model_validate(request))


class _Directory:
    """Objects in files of one directory, their keys quoted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        keys = sorted(unquote(path.name) for path in self._directory.iterdir())
        return [StoredObject(key, 0) for key in keys if key.startswith(prefix) and key > after], False

    def level(self, prefix: str) -> Iterator[tuple[list[str], list[StoredObject]]]:
        raise NotImplementedError

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        end = None if length is None else start + length
        try:
            return (self._directory / quote(key, safe="")).read_bytes()[start:end]
        except FileNotFoundError as error:
            raise NotFoundError(f"{key} does not exist") from error

    def write(self, key: str, body: bytes) -> None:
        (self._directory / quote(key, safe="")).write_bytes(body)


def _read_some(every: int) -> None:
    """Have most stores described as another that was read."""
    original, lock = Cmip6Harvester.read, threading.Lock()
    state: dict[str, Any] = {"count": 0, "item": None}

    def read(self: Cmip6Harvester, key: str) -> Reading:
        with lock:
            state["count"] += 1
            template = state["item"] if state["count"] % every else None
        if template is None:
            reading = original(self, key)
            state["item"] = reading.item
            return reading
        path = key.removeprefix(self.dataset.prefix).rstrip("/")
        return Reading({**template, "id": item_id("CMIP6", path)})

    Cmip6Harvester.read = read  # type: ignore[method-assign]
