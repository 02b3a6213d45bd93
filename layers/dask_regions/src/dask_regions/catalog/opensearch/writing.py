"""What a sync writes into a generation: changes, on top of a copy of the live one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from dask_regions.catalog.changes import Known, Put, Remove
from dask_regions.catalog.generations import under_way
from dask_regions.catalog.opensearch.bulk import Change, Documents
from dask_regions.catalog.opensearch.client import Client, OpenSearchError
from dask_regions.catalog.opensearch.control import Control
from dask_regions.catalog.opensearch.documents import Target, Version
from dask_regions.catalog.opensearch.fields import ITEMS, SOURCES, document_of, identifier
from dask_regions.errors import NotFoundError, RequestError, UnavailableError

__all__ = ["Writing", "known_of", "parts_of", "sources_of"]

_BATCH = 500
# Writers of several Regions may meet on one Item; each round, one of them gets through.
_ROUNDS = 100
_POLL_SECONDS = 0.05, 5.0
# Nobody reads an index that is being written, and replicas are made once.
_SETTINGS = {"refresh_interval": "-1", "auto_expand_replicas": False, "number_of_replicas": 0}
# The order of a search that asks for none: its pages are read in the order in which they are stored.
_SORTED = {
    "sort.field": ["values.began", "values.collection", "values.id"],
    "sort.order": ["desc", "asc", "asc"],
}

_Parts = dict[str, dict[str, Any]]


class Writing:
    """Writes into the generation that is under construction."""

    def __init__(self, client: Client, control: Control) -> None:
        self._client, self._control = client, control
        self.documents = Documents(client)

    def check(self, generation: str) -> None:
        """Check that a generation may be written.

        Raises
        ------
        NotFoundError
            Where it has not begun, is live, or was overtaken.
        """
        _, _, state = self._control.state(generation)
        under_way(state, generation)

    def write(self, generation: str, region: str, collection: str, changes: Iterable[Put | Remove]) -> int:
        """Apply a Region's changes; return how many."""
        self.check(generation)
        count = 0
        for batch in _batches(changes):
            target = self.target(generation, collection)
            self.apply(target, region, batch)
            count += len(batch)
        return count

    def target(self, generation: str, collection: str) -> Target:
        """Return a Collection's indexes in the generation, made and filled where they are not.

        Writers of several Regions come here at once. The first to register its indexes wins; OpenSearch
        copies into them by itself, so that a writer that dies in the meantime holds up nobody.
        """
        pause, longest = _POLL_SECONDS
        while True:
            self.check(generation)
            target, version = self._control.target(generation, collection)
            if target is not None and target.ready:
                return target
            state = "lost" if target is None else self._copied(target)
            if target is not None and state == "done":
                self._control.put_target(Target(**{**_fields(target), "ready": True}), version)
            elif state == "lost":
                self._attempt(generation, collection, version)
            else:
                time.sleep(pause)
                pause = min(2 * pause, longest)

    def apply(self, target: Target, region: str, changes: Sequence[Put | Remove]) -> None:
        """Apply some changes of one Region.

        Sources are noted last: until then a repetition finds the Items that they had made before.
        """
        names = {change.source: identifier(region, change.source) for change in changes}
        noted = self.documents.get(target.sources, list(names.values()))
        before = {source: noted[name][0].get("item") for source, name in names.items() if name in noted}
        wanted: dict[str, list[tuple[str, Mapping[str, Any] | None]]] = {}
        for change in changes:
            item = change.item if isinstance(change, Put) else None
            item_id = None if item is None else _id_of(item, target.collection)
            old = before.get(change.source)
            if old is not None and old != item_id:
                wanted.setdefault(old, []).append((change.source, None))
            if item_id is not None:
                wanted.setdefault(item_id, []).append((change.source, item))
            before[change.source] = item_id
        self._write_items(target, region, wanted)
        notes = [
            Change(names[change.source], _note(target.generation, region, change, before[change.source]))
            for change in changes
        ]
        self._write_all(target.sources, notes)

    def _write_items(
        self,
        target: Target,
        region: str,
        wanted: Mapping[str, list[tuple[str, Mapping[str, Any] | None]]],
    ) -> None:
        pending = {identifier(target.collection, item_id): changes for item_id, changes in wanted.items()}
        for attempt in range(_ROUNDS):
            if not pending:
                return
            if attempt:
                time.sleep(min(0.01 * attempt, 0.5))
            stored = self.documents.get(target.items, list(pending))
            changed, geometries = list[Change](), dict[str, Any]()
            for name, changes in pending.items():
                document, version = stored.get(name, (None, None))
                parts = _changed(parts_of(document), region, changes)
                if parts:
                    source, geometry = document_of(parts)
                    changed.append(Change(name, source, version, create=version is None))
                    geometries.update([geometry] if geometry else [])
                elif document is not None:
                    changed.append(Change(name, None, version))
            self._write_geometries(geometries)
            late = self.documents.write(target.items, changed)
            pending = {name: changes for name, changes in pending.items() if name in late}
        raise UnavailableError(f"other writers keep changing the Items of {target.collection}; sync again")

    def _write_geometries(self, geometries: Mapping[str, Any]) -> None:
        """Store geometries under their digests; they are the same for all generations."""
        stored = self.documents.get(self._control.names.geometries, list(geometries))
        new = [
            Change(digest, {"digest": digest, "geometry": geometry})
            for digest, geometry in geometries.items()
            if digest not in stored
        ]
        self._write_all(self._control.names.geometries, new)

    def _write_all(self, index: str, changes: Sequence[Change]) -> None:
        for attempt in range(_ROUNDS):
            if not changes:
                return
            if attempt:
                time.sleep(min(0.1 * attempt, 2.0))
            late = self.documents.write(index, changes)
            changes = [change for change in changes if change.id in late]
        raise UnavailableError("OpenSearch is too busy to be written; sync again")

    def _attempt(self, generation: str, collection: str, version: Version | None) -> None:
        """Create and register indexes for a Collection; where another writer was faster, delete them."""
        digits = secrets.token_hex(4)
        named = self._control.names
        target = Target(
            generation,
            collection,
            named.index("items", collection, generation, digits),
            named.index("sources", collection, generation, digits),
        )
        self._control.note_attempt(target)
        try:
            filled = self._filled(target)
            # The sync that has overtaken this one may have deleted them before they were made.
            self.check(generation)
            self._control.put_target(filled, version)
        except (NotFoundError, OpenSearchError):
            self._control.delete_indexes(target.items, target.sources)
            raise
        # Not told by the answer: a request that was sent twice is late after itself.
        registered, _ = self._control.target(generation, collection)
        if registered is None or registered.items != target.items:
            self._control.delete_indexes(target.items, target.sources)

    def _filled(self, target: Target) -> Target:
        """Create indexes, and have OpenSearch copy the live generation's documents into them."""
        self._control.create_index(target.items, ITEMS, {**_SETTINGS, **_SORTED})
        self._control.create_index(target.sources, SOURCES, _SETTINGS)
        live, _ = self._control.live()
        source = live.collections.get(target.collection)
        if source is None:
            return Target(**{**_fields(target), "ready": True})
        tasks = (
            self._copy(source.items, target.items, {"match_all": {}}),
            self._copy(source.sources, target.sources, {"bool": {"must_not": [{"term": {"removed": True}}]}}),
        )
        return Target(**{**_fields(target), "tasks": tasks})

    def _copy(self, source: str, target: str, query: Mapping[str, Any]) -> str:
        body = {
            "source": {"index": source, "query": query, "size": 1000},
            "dest": {"index": target, "op_type": "create"},
        }
        answer = self._client.request("POST", ["_reindex"], body, wait_for_completion="false")
        return str(answer["task"])

    def _copied(self, target: Target) -> str:
        """Return whether OpenSearch is ``done`` with copying, ``busy`` with it, or has ``lost`` it."""
        for task in target.tasks:
            answer = self._client.request("GET", ["_tasks", task], accept=(404,))
            response = answer.get("response", {})
            if "error" in answer or response.get("failures") or "canceled" in response:
                return "lost"
            if not answer["completed"]:
                return "busy"
        return "done"

    def known(self, index: str, region: str, prefix: str = "") -> Iterator[Known]:
        """Yield what an index of sources knows of a Region's, in the order of their UTF-8 bytes."""
        for source in self.documents.scan(index, sources_of(region, prefix), "source"):
            yield known_of(source)


def sources_of(region: str, prefix: str = "", generation: str | None = None) -> dict[str, Any]:
    """Return the query for a Region's sources: those there are, or all that a generation has changed."""
    conditions: list[dict[str, Any]] = [{"term": {"region": region}}]
    if prefix:
        conditions.append({"prefix": {"source": prefix}})
    if generation is not None:
        return {"bool": {"filter": [*conditions, {"term": {"generation": generation}}]}}
    return {"bool": {"filter": conditions, "must_not": [{"term": {"removed": True}}]}}


def known_of(source: Mapping[str, Any]) -> Known:
    """Return what the document of a source says."""
    return Known(source["source"], source.get("fingerprint", ""), source.get("item"), source.get("reason"))


def _note(generation: str, region: str, change: Put | Remove, item_id: str | None) -> dict[str, Any]:
    note: dict[str, Any] = {"region": region, "source": change.source, "generation": generation}
    if isinstance(change, Remove):
        # Kept until the next generation is copied from this one: a Region that fails gets it back.
        return {**note, "removed": True}
    note |= {"fingerprint": change.fingerprint, "item": item_id, "reason": change.reason}
    return {name: value for name, value in note.items() if value is not None}


def parts_of(document: Mapping[str, Any] | None) -> _Parts:
    """Return by Region what is kept of an Item: the source it was made of, and the copy."""
    if document is None:
        return {}
    parts = {region: dict(part) for region, part in document["parts"].items()}
    if len(parts) == 1:
        next(iter(parts.values()))["item"] = document["item"]
    return parts


def _changed(parts: _Parts, region: str, changes: Sequence[tuple[str, Mapping[str, Any] | None]]) -> _Parts:
    for source, item in changes:
        if item is not None:
            parts[region] = {"source": source, "item": dict(item)}
        elif parts.get(region, {}).get("source") == source:
            del parts[region]
    return parts


def _id_of(item: Mapping[str, Any], collection: str) -> str:
    item_id = str(item["id"])
    if item["collection"] != collection:
        raise RequestError(
            f"Item {item_id}",
            f"is of Collection {item['collection']!r}; write it there, not to {collection!r}",
        )
    return item_id


def _batches(changes: Iterable[Put | Remove]) -> Iterator[list[Put | Remove]]:
    iterator = iter(changes)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _fields(target: Target) -> dict[str, Any]:
    return {name: getattr(target, name) for name in Target.__dataclass_fields__}
