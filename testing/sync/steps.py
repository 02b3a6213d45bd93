"""A sync for tests: the state machine's steps in their order, over a catalog and buckets in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dask_regions.harvest.base import ObjectStore
from dask_regions.models import Configuration, Dataset
from dask_regions.sync.harvesting import harvest_shard
from dask_regions.sync.sharding import plan_shards
from dask_regions.sync.steps import Import, RegionShards, ShardStep, SwapRequest, generation_name
from dask_regions.sync.swapping import swap
from dask_regions.sync.writing import write_items
from testing.catalog.memory_catalog import MemoryCatalog
from testing.sync.memory_bucket import MemoryObjects
from testing.sync.synthetic_bucket import PREFIX, SyntheticBucket

WEST = "us-west-2"
BUCKET = "cmip6-copy"


def configuration(**more: Any) -> Configuration:
    """Return a system with a CMIP6 bucket in the West; arguments are the dataset's."""
    dataset = {
        "id": "cmip6",
        "title": "t",
        "description": "d",
        "region": WEST,
        "bucket": BUCKET,
        "prefix": PREFIX,
        "layout": "cmip6",
        "fsx_path": "/fsx",
    }
    regions = [
        {"name": "eu-west-2", "client": True, "cidr": "10.0.0.0/16"},
        {"name": WEST, "cidr": "10.1.0.0/16", "pool": {}},
    ]
    return Configuration.model_validate({"regions": regions, "datasets": [dataset | more]})


def contents_of(stores: int) -> dict[str, bytes]:
    """Return the objects that a sync of so many stores reads."""
    bucket = SyntheticBucket(stores)
    wanted = (".zmetadata", "lat/0", "lon/0", "time/0")
    return {key + name: bucket.read(key + name) for key in bucket.keys for name in wanted}


@dataclass
class Syncing:
    """Runs the steps of a sync as the state machine does, for one Region.

    Attributes
    ----------
    buckets
        Bucket name to its objects.
    seconds_left
        What every function is told.
    """

    configuration: Configuration
    buckets: dict[str, MemoryObjects]
    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)
    staging: MemoryObjects = field(default_factory=MemoryObjects)
    seconds_left: Callable[[], float] = lambda: 900.0
    runs: int = 0

    def open_bucket(self, dataset: Dataset) -> ObjectStore:
        """Return the bucket of a dataset."""
        return self.buckets[dataset.bucket]

    def plan(self, region: str) -> dict[str, Any]:
        """Begin a generation and plan its shards."""
        self.runs += 1
        now = datetime.now(UTC)
        step = Import(
            region=region, generation=generation_name(now, str(self.runs)), task_id="task", started=now
        )
        self.catalog.begin(step.generation, [region])
        return self.through_json(
            plan_shards(self.configuration, self.catalog, self.staging, self.open_bucket, step)
        )

    def harvest(self, shard: Any) -> dict[str, Any]:
        """Harvest a shard to its end."""
        done = False
        while not done:
            step = ShardStep.model_validate(shard)
            shard = self.through_json(
                harvest_shard(self.configuration, self.staging, self.open_bucket, step, self.seconds_left)
            )
            done = shard["done"]
        return dict(shard)

    def write(self, planned: dict[str, Any]) -> dict[str, Any]:
        """Write a Region to its end."""
        done = False
        while not done:
            step = RegionShards.model_validate(planned)
            planned = self.through_json(
                write_items(self.configuration, self.catalog, self.staging, step, self.seconds_left)
            )
            done = planned["done"]
        return planned

    def sync(self, region: str) -> dict[str, Any]:
        """Sync a Region; return the report's part on it, with the whole below ``summary``."""
        planned = self.plan(region)
        planned["shards"] = [self.harvest(shard) for shard in planned["shards"]]
        outcome = self.write(planned)
        request = SwapRequest.model_validate({"generation": planned["generation"], "regions": [outcome]})
        summary = self.through_json(swap(self.configuration, self.catalog, self.staging, request))
        return {**summary["regions"][region], "summary": summary}

    @staticmethod
    def through_json(payload: dict[str, Any]) -> dict[str, Any]:
        """Return what Step Functions would hand on, which is limited to 256 KiB."""
        text = json.dumps(payload)
        assert len(text.encode()) < 256 << 10
        return dict(json.loads(text))
