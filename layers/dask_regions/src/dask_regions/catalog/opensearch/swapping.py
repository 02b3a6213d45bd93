"""The end of a sync: a generation is completed, verified, summed up and made live."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from dask_regions.catalog.changes import Known, Put, RegionOutcome, Remove
from dask_regions.catalog.opensearch.client import Client, OpenSearchError
from dask_regions.catalog.opensearch.control import Control, Held, Live, Target
from dask_regions.catalog.opensearch.fields import identifier
from dask_regions.catalog.opensearch.summary import Summaries
from dask_regions.catalog.opensearch.writing import Writing, known_of, parts_of, sources_of
from dask_regions.errors import DaskRegionsError, NotFoundError, UnavailableError

__all__ = ["Swapping"]

logger = logging.getLogger(__name__)

_BATCH = 500
# Results that a repeated swap can still be answered with.
_RESULTS = 5
# Of indexes that are done: closed to changes, and with replicas where there are nodes for them.
_DONE = {"index": {"blocks.write": True, "auto_expand_replicas": "0-1"}}
_OPEN = {"index": {"blocks.write": False}}


class Swapping:
    """Makes the generation under construction live."""

    def __init__(self, client: Client, control: Control, writing: Writing) -> None:
        self._client, self._control, self._writing = client, control, writing
        self._summaries = Summaries(client, control)

    def swap(
        self, generation: str, outcomes: Mapping[str, RegionOutcome], declared: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        """Complete, verify and show a generation; see :class:`dask_regions.catalog.engines.Writer`."""
        try:
            return self._swap(generation, outcomes, declared)
        except OpenSearchError:
            # Where another swap has deleted what this one still uses, that is to be said.
            self._writing.check(generation)
            raise

    def _swap(
        self, generation: str, outcomes: Mapping[str, RegionOutcome], declared: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        live, version = self._control.live()
        if generation in live.results:
            return live.results[generation]
        building = self._control.building(generation)
        if building.base != live.live:
            raise NotFoundError(f"generation {generation} was overtaken by {live.live}; start a new sync")
        if missing := [region for region in building.regions if region not in outcomes]:
            raise UnavailableError(f"{', '.join(missing)} did not report to {generation}; sync again")
        synced = {region for region, outcome in outcomes.items() if outcome.error is None}
        held = self._complete(generation, live, synced, declared) if synced or not outcomes else live.held
        try:
            _verify(held, live, outcomes)
        except UnavailableError:
            self._set(self._control.targets(generation).values(), _OPEN)
            raise
        following = _following(generation, live, held, outcomes, declared)
        self._client.request("POST", [self._control.names.geometries, "_refresh"])
        older = self._control.leftovers(generation, following.live)
        if not self._control.go_live(following, version):
            now, _ = self._control.live()
            if generation not in now.results:
                raise UnavailableError(f"{now.live} was swapped in while {generation} was; start a new sync")
        self._clean_up(following, older)
        return following.results[generation]

    def _complete(
        self, generation: str, live: Live, synced: AbstractSet[str], declared: Mapping[str, Sequence[str]]
    ) -> dict[str, Held]:
        """Return what the generation holds by Collection, once what is not to be kept is undone."""
        targets = self._control.targets(generation)
        held: dict[str, Held] = {}
        for collection in sorted({*live.held, *targets}):
            holders = {region for region, collections in declared.items() if collection in collections}
            if not holders:
                continue
            before = live.held.get(collection)
            target = targets.get(collection)
            # Nothing is changed before the indexes are ready.
            target = self._opened(target) if target is not None and target.ready else None
            changed = set() if target is None else self._regions(target, generation)
            gone = self._regions(target or before) - holders
            if gone and target is None:
                target = self._opened(self._writing.target(generation, collection))
            if target is not None and (gone or changed & synced):
                self._undo(target, before, sorted(changed & holders - synced), sorted(gone))
                held[collection] = self._finished(target)
            elif before is not None:
                held[collection] = before
        return held

    def _undo(self, target: Target, before: Held | None, failed: Sequence[str], gone: Sequence[str]) -> None:
        """Give failed Regions what they had before, and take from others all that they have."""
        for region in failed:
            self._restore(target, before, region)
        for region in gone:
            self._forget(target, region)

    def _restore(self, target: Target, before: Held | None, region: str) -> None:
        """Give a Region back what it had before, source by source that it changed."""
        query = sources_of(region, generation=target.generation)
        for batch in _batches(self._writing.documents.scan(target.sources, query, "source")):
            sources = [source["source"] for source in batch]
            old = {} if before is None else self._old(before, region, sources)
            self._writing.apply(target, region, [old.get(source, Remove(source)) for source in sources])

    def _old(self, before: Held, region: str, sources: Sequence[str]) -> dict[str, Put]:
        documents = self._writing.documents
        notes = documents.get(before.sources, [identifier(region, source) for source in sources])
        known = [known_of(note) for note, _ in notes.values() if not note.get("removed")]
        names = {one.source: identifier(before.collection, one.item_id) for one in known if one.item_id}
        items = documents.get(before.items, list(names.values()))
        return {one.source: _put(one, region, items.get(names.get(one.source, ""))) for one in known}

    def _forget(self, target: Target, region: str) -> None:
        """Remove all that a Region has in a Collection."""
        for batch in _batches(self._writing.documents.scan(target.sources, sources_of(region), "source")):
            self._writing.apply(target, region, [Remove(source["source"]) for source in batch])

    def _finished(self, target: Target) -> Held:
        """Close a target to changes, and count and sum up what it holds."""
        self._set([target], _DONE)
        self._refresh(target)
        count, regions = self._summaries.make(target)
        return Held(target.collection, target.items, target.sources, count, regions)

    def _regions(self, place: Target | Held | None, generation: str | None = None) -> set[str]:
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
            used = {
                index
                for collections in live.generations.values()
                for held in collections.values()
                for index in (held.items, held.sources)
            }
            self._control.delete(older, used)
        except (DaskRegionsError, OpenSearchError) as error:
            logger.warning("what older generations left was not all deleted: %s", error)

    def _point_alias(self, live: Live) -> None:
        alias = self._control.names.alias
        answer = self._client.request("GET", ["_alias", alias], accept=(404,))
        now = {index for index, entry in answer.items() if isinstance(entry, dict) and "aliases" in entry}
        wanted = {held.items for held in live.held.values()}
        actions = [{"add": {"index": index, "alias": alias}} for index in sorted(wanted - now)]
        actions += [{"remove": {"index": index, "alias": alias}} for index in sorted(now - wanted)]
        if actions:
            self._client.request("POST", ["_aliases"], {"actions": actions})


def _put(known: Known, region: str, found: tuple[dict[str, Any], Any] | None) -> Put:
    item = None if found is None else parts_of(found[0]).get(region, {}).get("item")
    return Put(known.source, known.fingerprint, item, known.reason)


def _verify(held: Mapping[str, Held], live: Live, outcomes: Mapping[str, RegionOutcome]) -> None:
    """Check that what is stored is what was counted.

    Raises
    ------
    UnavailableError
        Where it is not.
    """
    for region, outcome in sorted(outcomes.items()):
        wanted = {collection: count for collection, count in sorted(outcome.items.items()) if count}
        stored = {
            collection: one.regions[region] for collection, one in held.items() if region in one.regions
        }
        if outcome.error is None and stored != wanted:
            raise UnavailableError(
                f"{region} has to have the Items {wanted} and {stored} are stored; "
                f"{live.live or 'nothing'} stays live, run sync_catalog again"
            )
    if not live.readable and not held:
        raise UnavailableError("the catalog is of another version of dask-regions, and nothing was synced")


def _following(
    generation: str,
    live: Live,
    held: Mapping[str, Held],
    outcomes: Mapping[str, RegionOutcome],
    declared: Mapping[str, Sequence[str]],
) -> Live:
    """Return what is live after the swap: the new generation, or the same one where nothing changed."""
    changed = dict(held) != dict(live.held) or not live.readable
    now = generation if changed else live.live
    generations = live.generations
    if changed:
        kept = {live.live: live.held} if live.live is not None and live.readable else {}
        generations = {**kept, generation: held}
    regions: dict[str, int] = {}
    for one in held.values():
        for region, count in one.regions.items():
            regions[region] = regions.get(region, 0) + count
    result = {
        "generation": now,
        "items": sum(one.count for one in held.values()),
        "regions": dict(sorted(regions.items())),
        "changed": changed,
        "failed": {region: one.error for region, one in sorted(outcomes.items()) if one.error is not None},
    }
    results = {**dict(list(live.results.items())[1 - _RESULTS :]), generation: result}
    return Live(now, generations, _freshness(live, outcomes, declared), results)


def _freshness(
    live: Live, outcomes: Mapping[str, RegionOutcome], declared: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    freshness = {region: dict(state) for region, state in live.freshness.items()}
    for region, outcome in outcomes.items():
        before = freshness.get(region, {}).get("synced")
        freshness[region] = {"synced": now if outcome.error is None else before, "error": outcome.error}
    return {region: state for region, state in sorted(freshness.items()) if region in declared}


def _batches(sources: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(sources, _BATCH)):
        yield batch
