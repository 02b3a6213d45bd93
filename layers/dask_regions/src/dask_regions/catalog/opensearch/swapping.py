"""The end of a sync: a generation is completed, verified, summed up and made live."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from dask_regions.catalog.changes import Known, Put, Remove
from dask_regions.catalog.generations import (
    Generations,
    Outcomes,
    SwapResult,
    finish,
    holders,
    nothing_synced,
    require_reports,
    result_of,
    unsynced,
    verify,
)
from dask_regions.catalog.opensearch.client import Client, OpenSearchError
from dask_regions.catalog.opensearch.control import Control
from dask_regions.catalog.opensearch.documents import (
    CollectionIndexes,
    Live,
    Target,
    building_of,
    counts_of,
    leftovers,
)
from dask_regions.catalog.opensearch.fields import identifier
from dask_regions.catalog.opensearch.summary import Summaries
from dask_regions.catalog.opensearch.writing import Writing, known_of, parts_of, sources_of
from dask_regions.errors import DaskRegionsError, UnavailableError

__all__ = ["Swapping"]

logger = logging.getLogger(__name__)

_SOURCES_AT_ONCE = 500
# Indexes that are done are closed to changes, and have replicas where there are nodes for them.
_DONE = {"index": {"blocks.write": True, "auto_expand_replicas": "0-1"}}
_OPEN = {"index": {"blocks.write": False}}


class Swapping:
    """Makes the generation under construction live."""

    def __init__(self, client: Client, control: Control, writing: Writing) -> None:
        self._client, self._control, self._writing = client, control, writing
        self._summaries = Summaries(client, control)

    def swap(self, generation: str, outcomes: Outcomes, declared: Mapping[str, Sequence[str]]) -> SwapResult:
        """Complete, verify and show a generation; see :class:`dask_regions.catalog.engines.Writer`."""
        try:
            return self._swap(generation, outcomes, declared)
        except OpenSearchError:
            # Where another swap has deleted what this one still uses, that is to be said.
            self._writing.check(generation)
            raise

    def _swap(self, generation: str, outcomes: Outcomes, declared: Mapping[str, Sequence[str]]) -> SwapResult:
        live, version, state = self._control.state(generation)
        if generation in state.results:
            return state.results[generation]
        require_reports(state, generation, outcomes)
        complete = not nothing_synced(outcomes)
        collections = self._complete(generation, live, outcomes, declared) if complete else live.collections
        self._verify(generation, live, collections, outcomes)
        self._client.request("POST", [self._control.names.geometries, "_refresh"])
        documents = self._control.documents()
        following = _following(live, state, documents, generation, collections, outcomes, declared)
        older = leftovers(documents, following.state, following.indexes)
        if not self._control.go_live(following, version):
            now, _ = self._control.live()
            if generation not in now.state.results:
                raise UnavailableError(
                    f"{now.state.live} was swapped in while {generation} was; start a new sync"
                )
        self._clean_up(following, older)
        return following.state.results[generation]

    def _verify(
        self, generation: str, live: Live, collections: Mapping[str, CollectionIndexes], outcomes: Outcomes
    ) -> None:
        """Check the counts; where they are wrong, let the writer go on with what is missing."""
        try:
            verify(generation, outcomes, counts_of(collections))
            _require_readable(live, collections)
        except UnavailableError:
            self._set(self._control.targets(generation).values(), _OPEN)
            raise

    def _complete(
        self, generation: str, live: Live, outcomes: Outcomes, declared: Mapping[str, Sequence[str]]
    ) -> dict[str, CollectionIndexes]:
        """Return what the generation has by Collection, once what is not to be kept is undone."""
        targets = self._control.targets(generation)
        declared_ids = {collection for collections in declared.values() for collection in collections}
        completed: dict[str, CollectionIndexes] = {}
        for collection in sorted({*live.collections, *targets} & declared_ids):
            before = live.collections.get(collection)
            target = targets.get(collection)
            # Nothing is changed before the indexes are ready.
            target = self._opened(target) if target is not None and target.ready else None
            changed = set() if target is None else self._regions(target, generation)
            declaring = holders(collection, declared)
            gone = self._regions(target or before) - declaring
            if gone and target is None:
                target = self._opened(self._writing.target(generation, collection))
            failed = unsynced(changed, outcomes)
            if target is not None and (gone or changed - {*failed}):
                self._undo(target, before, [region for region in failed if region in declaring], sorted(gone))
                completed[collection] = self._finished(target)
            elif before is not None:
                completed[collection] = before
        return completed

    def _undo(
        self, target: Target, before: CollectionIndexes | None, failed: Sequence[str], gone: Sequence[str]
    ) -> None:
        """Give failed Regions what they had before, and take from others all that they have."""
        for region in failed:
            self._restore(target, before, region)
        for region in gone:
            self._forget(target, region)

    def _restore(self, target: Target, before: CollectionIndexes | None, region: str) -> None:
        """Give a Region back what it had before, source by source that it changed."""
        query = sources_of(region, generation=target.generation)
        for batch in _batches(self._writing.documents.scan(target.sources, query, "source")):
            sources = [source["source"] for source in batch]
            old = {} if before is None else self._old(before, region, sources)
            self._writing.apply(target, region, [old.get(source, Remove(source)) for source in sources])

    def _old(self, before: CollectionIndexes, region: str, sources: Sequence[str]) -> dict[str, Put]:
        documents = self._writing.documents
        notes = documents.get(before.sources, [identifier(region, source) for source in sources])
        known = [known_of(note) for note, _ in notes.values() if not note.get("removed")]
        names = {
            source.source: identifier(before.collection, source.item_id)
            for source in known
            if source.item_id is not None
        }
        items = documents.get(before.items, list(names.values()))
        return {
            source.source: _put(source, region, items.get(names.get(source.source, ""))) for source in known
        }

    def _forget(self, target: Target, region: str) -> None:
        """Remove all that a Region has in a Collection."""
        for batch in _batches(self._writing.documents.scan(target.sources, sources_of(region), "source")):
            self._writing.apply(target, region, [Remove(source["source"]) for source in batch])

    def _finished(self, target: Target) -> CollectionIndexes:
        """Close a target to changes, and count and sum up what it holds."""
        self._set([target], _DONE)
        self._refresh(target)
        count, regions = self._summaries.make(target)
        return CollectionIndexes(target.collection, target.items, target.sources, count, regions)

    def _regions(self, place: Target | CollectionIndexes | None, generation: str | None = None) -> set[str]:
        """Return the Regions that have sources in an index, or that a generation has changed there."""
        if place is None:
            return set()
        query = {"bool": {"must_not": [{"term": {"removed": True}}]}}
        body = {
            "size": 0,
            "query": query if generation is None else {"term": {"generation": generation}},
            "aggs": {"regions": {"terms": {"field": "region", "size": 1000}}},
        }
        answer = self._client.search(place.sources, body)
        return {bucket["key"] for bucket in answer["aggregations"]["regions"]["buckets"]}

    def _opened(self, target: Target) -> Target:
        """Return the target, open to changes and with all that was written to be seen."""
        # Empty where it never was closed.
        if self._client.request("GET", [target.items, "_settings", "index.blocks.write"]):
            self._set([target], _OPEN)
        self._refresh(target)
        return target

    def _refresh(self, target: Target) -> None:
        self._client.request("POST", [f"{target.items},{target.sources}", "_refresh"])

    def _set(self, targets: Iterable[Target], settings: Mapping[str, Any]) -> None:
        for target in targets:
            self._client.request("PUT", [f"{target.items},{target.sources}", "_settings"], settings)

    def _clean_up(self, live: Live, older: Sequence[dict[str, Any]]) -> None:
        """Delete what no generation needs any more. What fails here is left to the next sync."""
        try:
            self._point_alias(live)
            self._control.delete(older)
        except (DaskRegionsError, OpenSearchError) as error:
            logger.warning("what older generations left was not all deleted: %s", error)

    def _point_alias(self, live: Live) -> None:
        alias = self._control.names.alias
        answer = self._client.request("GET", ["_alias", alias], accept=(404,))
        now = {index for index, entry in answer.items() if isinstance(entry, dict) and "aliases" in entry}
        live_indexes = {part.items for part in live.collections.values()}
        actions = [{"add": {"index": index, "alias": alias}} for index in sorted(live_indexes - now)]
        actions += [{"remove": {"index": index, "alias": alias}} for index in sorted(now - live_indexes)]
        if actions:
            self._client.request("POST", ["_aliases"], {"actions": actions})


def _put(known: Known, region: str, stored: tuple[dict[str, Any], Any] | None) -> Put:
    item = None if stored is None else parts_of(stored[0]).get(region, {}).get("item")
    return Put(known.source, known.fingerprint, item, known.reason)


def _require_readable(live: Live, collections: Mapping[str, CollectionIndexes]) -> None:
    """Check that a catalog of another format is not replaced by an empty one."""
    if not live.readable and not collections:
        raise UnavailableError("the catalog is of another version of dask-regions, and nothing was synced")


def _following(
    live: Live,
    state: Generations,
    documents: Sequence[Mapping[str, Any]],
    generation: str,
    collections: Mapping[str, CollectionIndexes],
    outcomes: Outcomes,
    declared: Mapping[str, Sequence[str]],
) -> Live:
    """Return what is live after the swap: the new generation, or the same one where nothing changed."""
    sources = [document["_source"] for document in documents]
    building = {s["generation"]: building_of(s) for s in sources if s["kind"] == "building"}
    # Another function may have finished this generation meanwhile: then it is under way no longer, and the
    # version of the document `live` tells.
    state = replace(state, building={**building, **state.building})
    changed = dict(collections) != dict(live.collections) or not live.readable
    items = sum(part.count for part in collections.values())
    name = generation if changed else state.live
    result = result_of(name, items, counts_of(collections), outcomes, changed=changed)
    state = finish(state, generation, result, outcomes, declared, datetime.now(UTC))
    contents = {**live.contents, generation: collections} if changed else live.contents
    kept = {name: contents[name] for name in reversed(state.searchable) if name in contents}
    return Live(state, kept)


def _batches(sources: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(sources, _SOURCES_AT_ONCE)):
        yield batch
