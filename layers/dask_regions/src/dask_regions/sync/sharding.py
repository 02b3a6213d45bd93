"""Step ``PlanShards``: cut what a Region's datasets list into ranges of keys, each for one function.

A range is ``after < key <= last``, so that every key is in exactly one, whether it is new, known or gone.
Where the catalog knows enough of a dataset, the known keys tell where to cut, and nothing is listed.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import IO, Any, TypeAlias

from dask_regions.catalog.engines import Writer
from dask_regions.harvest.base import ObjectStore, digest, open_harvester
from dask_regions.harvest.manifest import manifest_sources
from dask_regions.models import Configuration, Dataset
from dask_regions.sync.metering import Metered, MeteredStaging
from dask_regions.sync.staging import Staging, WritableStore
from dask_regions.sync.steps import Counts, Import, ShardStep

__all__ = ["cut", "plan_shards"]

# A function lists a thousand stores in seconds and reads their metadata in two minutes.
_SOURCES = 1000
# Of the known keys, each of these many is a place to cut.
_STRIDE = 100

_Range: TypeAlias = tuple[str, str | None]


def plan_shards(
    configuration: Configuration,
    catalog: Writer,
    staging: WritableStore,
    open_bucket: Callable[[Dataset], ObjectStore],
    step: Import,
) -> dict[str, Any]:
    """Cut a Region's datasets into shards, and stage what each has to be compared with.

    Memory: a line of the catalog's sources at a time, a hundredth of their keys, and a whole manifest.

    Raises
    ------
    NotFoundError
        Where a bucket may not be listed, or a manifest not be read.
    """
    datasets = configuration.datasets_of(step.region)
    metered = MeteredStaging(staging)
    shards, counts = list[ShardStep](), Counts()
    for dataset in datasets:
        objects = Metered(open_bucket(dataset))
        most = max(step.shards_at_most // len(datasets), 1)
        shards += _Planner(catalog, Staging(metered), objects, dataset, step).plan(most)
        counts += objects.counts
    return {
        **step.model_dump(mode="json", include={"region", "generation", "started"}),
        "planned": (counts + metered.counts).model_dump(exclude_defaults=True),
        "shards": [shard.model_dump(mode="json", exclude_defaults=True) for shard in shards],
    }


def cut(candidates: list[str], sources_each: int, at_most: int) -> list[_Range]:
    """Return ranges between some of the candidates, about 1000 sources each, but not too many.

    Parameters
    ----------
    candidates
        Keys in order.
    sources_each
        About how many sources lie between two of them.

    Examples
    --------
    >>> cut(["a", "b", "c", "d"], 500, 200)
    [('', 'b'), ('b', 'd'), ('d', None)]
    """
    each = max(math.ceil(_SOURCES / sources_each), math.ceil((len(candidates) + 1) / at_most))
    ends = candidates[each - 1 :: each][: at_most - 1]
    return list(zip(["", *ends], [*ends, None], strict=True))


class _Planner:
    def __init__(
        self, catalog: Writer, staging: Staging, objects: ObjectStore, dataset: Dataset, step: Import
    ) -> None:
        self._catalog, self._staging, self._objects = catalog, staging, objects
        self._dataset, self._step = dataset, step

    def plan(self, at_most: int) -> list[ShardStep]:
        listed = None
        if self._dataset.manifest is not None:
            listed = [
                (source.key, source.fingerprint) for source in manifest_sources(self._dataset, self._objects)
            ]
        with tempfile.TemporaryFile() as file:
            known, marks = self._spool(file)
            ranges = self._ranges(listed, known, marks, at_most)
            return self._stage(ranges, _following(_lines(file)), _following(listed or ()), listed is not None)

    def _spool(self, file: IO[bytes]) -> tuple[int, list[str]]:
        """Write what the catalog knows to a file; return how much it is, and some keys of it."""
        marks, count = list[str](), 0
        for count, known in enumerate(self._catalog.known(self._step.region, self._dataset.id), start=1):
            line = (known.source, known.fingerprint, known.item_id is not None, known.reason)
            file.write(json.dumps(line).encode() + b"\n")
            if count % _STRIDE == 0:
                marks.append(known.source)
        return count, marks

    def _ranges(
        self, listed: list[tuple[str, str]] | None, known: int, marks: list[str], at_most: int
    ) -> list[_Range]:
        if listed is not None:
            return cut([key for key, _ in listed[_STRIDE - 1 :: _STRIDE]], _STRIDE, at_most)
        if known >= _SOURCES:
            return cut(marks, _STRIDE, at_most)
        harvester = open_harvester(self._dataset, self._objects)
        return cut(harvester.cuts(), harvester.sources_per_cut, at_most)

    def _stage(
        self,
        ranges: list[_Range],
        known: Callable[[str | None], Iterator[Any]],
        listed: Callable[[str | None], Iterator[Any]],
        is_listed: bool,
    ) -> list[ShardStep]:
        shards = []
        for after, last in ranges:
            shard = ShardStep(
                region=self._step.region,
                generation=self._step.generation,
                collection=self._dataset.id,
                shard=digest([after, "" if last is None else f"to {last}"]),
            )
            self._staging.put_plan(shard, "known", _headed([after, last, is_listed], known(last)))
            if is_listed:
                self._staging.put_plan(shard, "listed", listed(last))
            shards.append(shard)
        return shards


def _headed(head: Any, lines: Iterable[Any]) -> Iterator[Any]:
    yield head
    yield from lines


def _lines(file: IO[bytes]) -> Iterator[Any]:
    file.seek(0)
    for line in file:
        yield json.loads(line)


def _following(lines: Iterable[Any]) -> Callable[[str | None], Iterator[Any]]:
    """Return a function that yields the next lines up to a key, their first member; None is the end."""
    rest = iter(lines)
    waiting: list[Any] = list(islice(rest, 1))

    def until(last: str | None) -> Iterator[Any]:
        while waiting and (last is None or waiting[0][0] <= last):
            yield waiting.pop()
            waiting.extend(islice(rest, 1))

    return until
