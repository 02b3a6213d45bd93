"""Step ``WriteItems``: a Region's staged changes go into the generation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from dask_regions.catalog.changes import Put, Remove
from dask_regions.catalog.engines import Writer
from dask_regions.errors import NotFoundError
from dask_regions.models import Configuration
from dask_regions.sync.metering import MeteredStaging
from dask_regions.sync.staging import Staging, WritableStore
from dask_regions.sync.steps import Counts, RegionShards, ShardStep

__all__ = ["write_items"]

# Seconds that writing a part may take, the slowest engine included.
_SECONDS_TO_FINISH = 120.0
_SKIPPED = 1000
_EXAMPLES = 5
# They travel between states: five for each Region have to fit into 256 kB, and into a failure's 32 kB.
_EXAMPLE_LENGTH = 500


def write_items(
    configuration: Configuration,
    catalog: Writer,
    staging: WritableStore,
    step: RegionShards,
    seconds_left: Callable[[], float],
) -> dict[str, Any]:
    """Write a Region's changes, or as many parts of them as there is time for.

    Returns
    -------
    dict
        The input with ``position`` moved on and ``done`` false, or ``done`` and what the Region holds.

    Raises
    ------
    NotFoundError
        Where a dataset has no Item at all: the Region then keeps those it had.
    """
    metered = MeteredStaging(staging)
    staged = Staging(metered)
    if step.position == 0:
        _require_items(configuration, staged, step)
    position = step.position
    for shard, attempt, part in islice(_parts(step), step.position, None):
        if position > step.position and seconds_left() < _SECONDS_TO_FINISH:
            break
        changes = map(_change, staged.part(shard, attempt, part))
        catalog.write(step.generation, step.region, shard.collection, changes)
        position += 1
    else:
        return _outcome(staged, metered, step)
    moved = step.model_copy(update={"position": position, "planned": step.planned + metered.counts})
    return {**moved.model_dump(mode="json", exclude_defaults=True), "done": False}


def _parts(step: RegionShards) -> Iterator[tuple[ShardStep, str, int]]:
    for shard in step.shards:
        for attempt in shard.attempts:
            for part in range(attempt.parts):
                yield shard, attempt.name, part


def _change(line: Any) -> Put | Remove:
    if "fingerprint" not in line:
        return Remove(line["source"])
    return Put(line["source"], line["fingerprint"], line["item"], line["reason"])


def _outcome(staged: Staging, metered: MeteredStaging, step: RegionShards) -> dict[str, Any]:
    items: dict[str, int] = {}
    for shard in step.shards:
        items[shard.collection] = items.get(shard.collection, 0) + shard.counts.items
    skipped = list(islice(_skipped(staged, step.shards), _SKIPPED))
    staged.put_region_report(step, skipped)
    counts = sum((shard.counts for shard in step.shards), step.planned) + metered.counts
    return {
        "region": step.region,
        "generation": step.generation,
        "done": True,
        "items": items,
        "counts": counts.model_dump(exclude_defaults=True),
        "seconds": round((datetime.now(UTC) - step.started).total_seconds(), 1),
        "skipped": [f"{source}: {reason}"[:_EXAMPLE_LENGTH] for source, reason in skipped[:_EXAMPLES]],
    }


def _skipped(staged: Staging, shards: Iterable[ShardStep]) -> Iterator[Any]:
    for shard in shards:
        if shard.counts.skipped:
            for attempt in shard.attempts:
                yield from staged.skipped(shard, attempt.name)


def _require_items(configuration: Configuration, staged: Staging, step: RegionShards) -> None:
    """Refuse to empty a Collection: a wrong prefix, or rights that were taken away, look like that."""
    for dataset in configuration.datasets_of(step.region):
        shards = [shard for shard in step.shards if shard.collection == dataset.id]
        counts = sum((shard.counts for shard in shards), Counts())
        if counts.items:
            continue
        example = next(_skipped(staged, shards), None)
        why = f"; skipped {counts.skipped}, one of them {example[0]}: {example[1]}" if example else ""
        raise NotFoundError(
            f"dataset {dataset.id} has no Items: nothing readable below s3://{dataset.bucket}/"
            f"{dataset.prefix} in layout {dataset.layout}{why}. Check bucket, prefix and layout in "
            "datasets.yaml"
        )
