"""A catalog in memory that a sync can write: the fake of the engines, over the same states."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from dask_regions.catalog import generations
from dask_regions.catalog.changes import Known, Put, Remove
from dask_regions.catalog.generations import Counts, Generations, Outcomes, SwapResult

__all__ = ["MemoryCatalog", "Sources"]

#: Region and Collection to what became of their sources.
Sources: TypeAlias = Mapping[tuple[str, str], Mapping[str, Put]]


class MemoryCatalog:
    """A :class:`dask_regions.catalog.engines.Writer` that keeps everything in dicts, for one thread.

    It cannot be searched; what is live is told by :meth:`items` and :meth:`reasons`.

    Attributes
    ----------
    state
        Which generations there are.
    contents
        What each of them has; those that are discarded are gone.
    writes
        How many changes were written.
    """

    def __init__(self) -> None:
        self.state = Generations()
        self.contents: dict[str, Sources] = {}
        self.writes = 0

    def begin(self, generation: str, regions: Sequence[str]) -> None:
        self.state = generations.begin(self.state, generation, regions)

    def known(self, region: str, collection: str, prefix: str = "") -> Iterator[Known]:
        sources = self._live().get((region, collection), {})
        for key in sorted(sources, key=str.encode):
            put = sources[key]
            if key.startswith(prefix):
                item_id = put.item["id"] if put.item is not None else None
                yield Known(key, put.fingerprint, item_id, put.reason)

    def write(self, generation: str, region: str, collection: str, changes: Iterable[Put | Remove]) -> int:
        generations.under_way(self.state, generation)
        contents = self.contents.get(generation, self._live())
        sources = dict(contents.get((region, collection), {}))
        before = self.writes
        for change in changes:
            self.writes += 1
            if isinstance(change, Remove):
                sources.pop(change.source, None)
            else:
                # As a store would keep it: a copy, and nothing that is not JSON.
                item = None if change.item is None else json.loads(json.dumps(change.item))
                sources[change.source] = Put(change.source, change.fingerprint, item, change.reason)
        if self.writes > before:
            self.contents[generation] = {**contents, (region, collection): sources}
        return self.writes - before

    def swap(self, generation: str, outcomes: Outcomes, declared: Mapping[str, Sequence[str]]) -> SwapResult:
        if generation in self.state.results:
            return self.state.results[generation]
        generations.require_reports(self.state, generation, outcomes)
        live = self._live()
        contents = (
            live if generations.nothing_synced(outcomes) else self._complete(generation, outcomes, declared)
        )
        generations.verify(generation, outcomes, counts_of(contents))
        changed = contents != live
        name = generation if changed else self.state.live
        items = len(items_of(contents))
        result = generations.result_of(name, items, counts_of(contents), outcomes, changed=changed)
        self.state = generations.finish(self.state, generation, result, outcomes, declared, datetime.now(UTC))
        if changed:
            self.contents[generation] = contents
        for discarded in self.state.discarded:
            self.contents.pop(discarded, None)
        self.state = generations.forget(self.state, self.state.discarded)
        return result

    def items(self) -> dict[str, dict[str, Any]]:
        """Return every Item that is live, by id."""
        return items_of(self._live())

    def reasons(self) -> dict[str, str]:
        """Return why sources were left out, by key."""
        puts = (put for sources in self._live().values() for put in sources.values())
        return {put.source: put.reason for put in puts if put.reason is not None}

    def _live(self) -> Sources:
        return {} if self.state.live is None else self.contents[self.state.live]

    def _complete(
        self, generation: str, outcomes: Outcomes, declared: Mapping[str, Sequence[str]]
    ) -> Sources:
        live, written = self._live(), self.contents.get(generation, self._live())
        failed = generations.unsynced((region for region, _ in written), outcomes)
        return {
            (region, collection): sources
            for (region, collection), own in written.items()
            if region in generations.holders(collection, declared)
            if (sources := live.get((region, collection), {}) if region in failed else own)
        }


def items_of(contents: Sources) -> dict[str, dict[str, Any]]:
    """Return the Items that sources make, by id."""
    puts = (put for sources in contents.values() for put in sources.values())
    return {put.item["id"]: dict(put.item) for put in puts if put.item is not None}


def counts_of(contents: Sources) -> Counts:
    """Return the number of Items by Region and Collection: two sources of one Item are one Item."""
    counts: dict[str, dict[str, int]] = {}
    for (region, collection), sources in contents.items():
        ids = {put.item["id"] for put in sources.values() if put.item is not None}
        counts.setdefault(region, {})[collection] = len(ids)
    return counts
