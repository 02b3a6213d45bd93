"""Which generation is live: one small index of control documents, beside those that hold the Items.

The document ``live`` is the switch. It names the indexes of the live generation and of the one before, is
replaced as a whole, and only if it is still the one that was read: two swaps at once cannot both succeed.
An alias could do neither, nor stand for a generation without Items; there is one, but for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dask_regions import names
from dask_regions.catalog.generations import Building, Generations
from dask_regions.catalog.opensearch.client import Client
from dask_regions.catalog.opensearch.documents import (
    Live,
    Names,
    Target,
    Version,
    building_of,
    dump_building,
)
from dask_regions.catalog.opensearch.fields import CONTROL, GEOMETRIES, identifier
from dask_regions.errors import UnavailableError

__all__ = ["SLOW_THRESHOLDS", "Control"]

# OpenSearch's name of a task that copies documents; its description is ``reindex from [a] to [b]``.
_COPY = "indices:data/write/reindex"

#: From when on the slow logs (``regional_stack/catalog.yaml``) have a search in a shard, or the write of a
#: document. A search takes some tens of milliseconds; without thresholds nothing is logged.
SLOW_THRESHOLDS = {
    "search.slowlog.threshold.query.warn": "1s",
    "search.slowlog.threshold.fetch.warn": "1s",
    "indexing.slowlog.threshold.index.warn": "1s",
}


class Control:
    """Reads and writes the control documents."""

    LIVE = "live"

    def __init__(self, client: Client, named: Names) -> None:
        self._client, self.names = client, named

    def create(self) -> None:
        """Create the indexes that all generations share, where there are none."""
        self.create_index(self.names.control, CONTROL)
        self.create_index(self.names.geometries, GEOMETRIES)

    def create_index(
        self, index: str, mapping: Mapping[str, Any], settings: Mapping[str, Any] | None = None
    ) -> None:
        """Create an index; one that exists is left as it is."""
        body = {
            "aliases": {names.writing_alias(index): {}},
            "mappings": mapping,
            "settings": {
                "index": {
                    "number_of_shards": 1,
                    "auto_expand_replicas": "0-1",
                    **SLOW_THRESHOLDS,
                    **(settings or {}),
                }
            },
        }
        answer = self._client.request("PUT", [index], body, accept=(400,))
        error = answer.get("error", {}).get("type")
        if error not in (None, "resource_already_exists_exception"):
            raise UnavailableError(f"OpenSearch cannot create the index {index}: {answer['error']}")

    def live(self) -> tuple[Live, Version | None]:
        """Return what is live, and its version; None where nothing is."""
        source, version = self.get(self.LIVE)
        return (Live() if source is None else Live.load(source["content"])), version

    def go_live(self, live: Live, version: Version | None) -> bool:
        """Replace what is live, for all searches that begin from now on; False where another was faster."""
        return self.put(self.LIVE, {"kind": "live", "content": live.dump()}, version)

    def state(self, generation: str) -> tuple[Live, Version | None, Generations]:
        """Return what is live, its version, and the state with one generation under way, if it is."""
        # In this order: one that is swapped in after the first request is no longer under way at the second.
        source, _ = self.get(identifier("building", generation))
        live, version = self.live()
        building = {} if source is None else {generation: building_of(source)}
        return live, version, replace(live.state, building=building)

    def begin(self, generation: str, building: Building) -> None:
        """Note that a generation is under way; a repetition changes nothing."""
        self.put(identifier("building", generation), dump_building(generation, building), None)

    def target(self, generation: str, collection: str) -> tuple[Target | None, Version | None]:
        """Return the indexes into which a Collection is written, None where there are none yet."""
        source, version = self.get(identifier("target", generation, collection))
        return (None if source is None else Target.load(source)), version

    def put_target(self, target: Target, version: Version | None) -> bool:
        """Store them; False where another writer was faster."""
        source = {"kind": "target", "generation": target.generation, "content": target.dump()}
        return self.put(target.document, source, version)

    def targets(self, generation: str) -> dict[str, Target]:
        """Return by Collection what a generation has written into."""
        hits = self._find({"term": {"generation": generation}}, {"term": {"kind": "target"}})
        targets = [Target.load(hit["_source"]) for hit in hits]
        return {target.collection: target for target in targets}

    def note_attempt(self, target: Target) -> None:
        """Note indexes before they are created, so that they are found again whatever happens."""
        source = {"kind": "attempt", "generation": target.generation, "content": target.dump()}
        self.put(identifier("attempt", target.items), source, None)

    def documents(self) -> list[dict[str, Any]]:
        """Return the control documents of all generations that were begun, with their ids."""
        return self._find({"terms": {"kind": ["attempt", "building", "summary", "target"]}})

    def delete(self, documents: Sequence[dict[str, Any]]) -> None:
        """Delete control documents, and the indexes that were attempted."""
        lines: list[dict[str, Any]] = []
        for document in documents:
            content = document["_source"]["content"]
            if document["_source"]["kind"] == "attempt":
                self.delete_indexes(content["items"], content["sources"])
            lines.append({"delete": {"_index": self.names.control, "_id": document["_id"]}})
        if lines:
            self._client.request("POST", ["_bulk"], lines)

    def delete_indexes(self, *indexes: str) -> None:
        """Delete indexes; those that are gone are done.

        Copies into them are ended first: they would make an index anew, and nobody would know of it.
        """
        for task in self._copies(indexes):
            path = ["_tasks", task, "_cancel"]
            self._client.request("POST", path, accept=(404,), wait_for_completion="true")
        self._client.request("DELETE", [",".join(indexes)], ignore_unavailable="true")

    def _copies(self, indexes: Sequence[str]) -> list[str]:
        """Return the tasks of OpenSearch that copy into some indexes, whoever has started them."""
        answer = self._client.request("GET", ["_tasks"], actions=_COPY, detailed="true", group_by="none")
        ends = tuple(f"to [{index}]" for index in indexes)
        return [
            f"{task['node']}:{task['id']}" for task in answer["tasks"] if task["description"].endswith(ends)
        ]

    def _find(self, *conditions: dict[str, Any]) -> list[dict[str, Any]]:
        self._client.request("POST", [self.names.control, "_refresh"])
        query = {"size": 10_000, "query": {"bool": {"filter": list(conditions)}}}
        hits: list[dict[str, Any]] = self._client.search(self.names.control, query)["hits"]["hits"]
        return hits

    def get(self, document: str) -> tuple[dict[str, Any] | None, Version | None]:
        """Return a control document as last written, and its version."""
        answer = self._client.request("GET", [self.names.control, "_doc", document], accept=(404,))
        if not answer.get("found"):
            return None, None
        return answer["_source"], Version(answer["_seq_no"], answer["_primary_term"])

    def put(self, document: str, source: Mapping[str, Any], version: Version | None) -> bool:
        """Create a control document, or replace this version of it; False where that was not it."""
        path = [self.names.control, "_create" if version is None else "_doc", document]
        parameters = {} if version is None else version.parameters
        answer = self._client.request("PUT", path, source, accept=(409,), refresh="true", **parameters)
        return bool(answer.get("status") != 409)

    def replace(self, document: str, source: Mapping[str, Any]) -> None:
        """Write a control document, whatever was there."""
        self._client.request("PUT", [self.names.control, "_doc", document], source, refresh="true")
