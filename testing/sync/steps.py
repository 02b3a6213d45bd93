"""A sync for tests: a catalog in memory, and the state machine's steps in their order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dask_regions.catalog.changes import Known, Put, RegionOutcome, Remove
from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.harvest.base import ObjectStore
from dask_regions.models import Configuration, Dataset
from dask_regions.sync.harvesting import harvest_shard
from dask_regions.sync.sharding import plan_shards
from dask_regions.sync.steps import Import, RegionShards, ShardStep, SwapRequest, generation_name
from dask_regions.sync.swapping import swap
from dask_regions.sync.writing import write_items
from testing.sync.memory_bucket import MemoryObjects
from testing.sync.synthetic_bucket import PREFIX, SyntheticBucket

WEST = "us-west-2"
BUCKET = "cmip6-copy"

_Sources = dict[tuple[str, str], dict[str, Put]]


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


class MemoryCatalog:
    """A :class:`dask_regions.catalog.engines.Writer` that keeps everything in dicts."""

    def __init__(self) -> None:
        self.live: _Sources = {}
        self.generation: str | None = None
        self.errors: dict[str, str | None] = {}
        self.writes = 0
        self._building: dict[str, _Sources] = {}
        self._done: dict[str, dict[str, Any]] = {}

    def begin(self, generation: str, regions: Sequence[str]) -> None:
        self._building.setdefault(generation, {})

    def known(self, region: str, collection: str, prefix: str = "") -> Iterator[Known]:
        sources = self.live.get((region, collection), {})
        for source in sorted(sources, key=str.encode):
            one = sources[source]
            if source.startswith(prefix):
                item_id = one.item["id"] if one.item is not None else None
                yield Known(source, one.fingerprint, item_id, one.reason)

    def write(self, generation: str, region: str, collection: str, changes: Iterable[Put | Remove]) -> int:
        if generation not in self._building:
            raise NotFoundError(f"{generation} has not begun")
        sources = self._building[generation].setdefault(
            (region, collection), dict(self.live.get((region, collection), {}))
        )
        before = self.writes
        for change in changes:
            self.writes += 1
            if isinstance(change, Remove):
                sources.pop(change.source, None)
            else:
                # As a store would keep it: a copy, and nothing that is not JSON.
                item = None if change.item is None else json.loads(json.dumps(change.item))
                sources[change.source] = Put(change.source, change.fingerprint, item, change.reason)
        return self.writes - before

    def swap(
        self, generation: str, outcomes: Mapping[str, RegionOutcome], declared: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        if generation in self._done:
            return self._done[generation]
        held = {(region, one) for region, collections in declared.items() for one in collections}
        new = {key: sources for key, sources in self.live.items() if key in held}
        for key, sources in self._building[generation].items():
            outcome = outcomes.get(key[0])
            if outcome is not None and outcome.error is None:
                new[key] = sources
        for region, outcome in outcomes.items():
            if outcome.error is None:
                self._verify(region, outcome, new)
        changed = new != self.live
        self.live = new
        self.generation = generation if changed else self.generation
        self.errors |= {region: outcome.error for region, outcome in outcomes.items()}
        self._done[generation] = {
            "generation": self.generation,
            "items": len(self.items()),
            "regions": {},
            "changed": changed,
            "failed": {},
        }
        return self._done[generation]

    def items(self) -> dict[str, dict[str, Any]]:
        """Return every Item that is live, by id."""
        puts = (one for sources in self.live.values() for one in sources.values())
        return {one.item["id"]: dict(one.item) for one in puts if one.item is not None}

    def reasons(self) -> dict[str, str]:
        """Return why sources were left out, by key."""
        puts = (one for sources in self.live.values() for one in sources.values())
        return {one.source: one.reason for one in puts if one.reason is not None}

    def _verify(self, region: str, outcome: RegionOutcome, new: _Sources) -> None:
        for collection, count in outcome.items.items():
            puts = new.get((region, collection), {}).values()
            # As the engines do: two sources of one Item are one Item.
            there = len({one.item["id"] for one in puts if one.item is not None})
            if there != count:
                raise UnavailableError(f"{region} {collection}: {there} Items instead of {count}")


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
