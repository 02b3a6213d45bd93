"""Which generation is live: one small index of control documents, beside those that hold the Items.

The document ``live`` is the switch. It names the indexes of the live generation and of the one before, is
replaced as a whole, and only if it is still the one that was read: two swaps at once cannot both succeed.
An alias could do neither, nor stand for a generation without Items; there is one, but for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from dask_regions import names
from dask_regions.catalog.opensearch.client import Client
from dask_regions.catalog.opensearch.fields import CONTROL, FORMAT, GEOMETRIES, identifier
from dask_regions.errors import NotFoundError, UnavailableError

__all__ = ["Building", "Control", "Held", "Live", "Names", "Target", "Version"]

#: What OpenSearch calls a copy of documents; its description is ``reindex from [a] to [b]``.
_COPY = "indices:data/write/reindex"


@dataclass(frozen=True)
class Names:
    """Names of one catalog's indexes; several catalogs share a cluster by their prefix."""

    prefix: str = ""

    @property
    def control(self) -> str:
        return self.prefix + names.CONTROL_INDEX

    @property
    def geometries(self) -> str:
        return self.prefix + names.GEOMETRIES_INDEX

    @property
    def alias(self) -> str:
        return self.prefix + names.LIVE_ALIAS

    def index(self, kind: str, collection: str, generation: str, attempt: str) -> str:
        return self.prefix + names.generation_index(kind, collection, generation, attempt)


@dataclass(frozen=True)
class Version:
    """Of a document, to replace it only if nobody has."""

    seq_no: int
    primary_term: int

    @property
    def parameters(self) -> dict[str, str]:
        return {"if_seq_no": str(self.seq_no), "if_primary_term": str(self.primary_term)}


@dataclass(frozen=True)
class Held:
    """A Collection in a generation: its two indexes, which never change again, and what they hold.

    Attributes
    ----------
    count, regions
        Number of Items, in all and by Region.
    """

    collection: str
    items: str
    sources: str
    count: int
    regions: Mapping[str, int]

    def dump(self) -> dict[str, Any]:
        return {
            "collection": self.collection,
            "items": self.items,
            "sources": self.sources,
            "count": self.count,
            "regions": dict(self.regions),
        }


@dataclass(frozen=True)
class Live:
    """Content of the document ``live``; all empty before the first swap.

    Attributes
    ----------
    generations
        The live and the previous one: what each holds by Collection.
    freshness
        Region to ``synced`` and ``error``.
    results
        What the last swaps returned, by generation.
    readable
        False where the catalog was written in another format.
    """

    live: str | None = None
    generations: Mapping[str, Mapping[str, Held]] = field(default_factory=dict)
    freshness: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    results: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    readable: bool = True

    @property
    def held(self) -> Mapping[str, Held]:
        """What the live generation holds, by Collection."""
        return self.generations.get(self.live or "", {})

    @classmethod
    def load(cls, content: Mapping[str, Any]) -> Live:
        if content.get("format") != FORMAT:
            return cls(content.get("live"), readable=False)
        generations = {
            generation: {collection: Held(**held) for collection, held in collections.items()}
            for generation, collections in content["generations"].items()
        }
        return cls(content["live"], generations, content["freshness"], content["results"])

    def dump(self) -> dict[str, Any]:
        generations = {
            generation: {collection: held.dump() for collection, held in collections.items()}
            for generation, collections in self.generations.items()
        }
        return {
            "format": FORMAT,
            "live": self.live,
            "generations": generations,
            "freshness": self.freshness,
            "results": self.results,
        }


@dataclass(frozen=True)
class Building:
    """A generation under construction: the one it is based on, and the Regions that are synced into it."""

    base: str | None
    regions: Sequence[str]


@dataclass(frozen=True)
class Target:
    """A Collection's indexes in a generation that is being written.

    Attributes
    ----------
    tasks
        Of OpenSearch, that copy the live generation's documents into the new indexes.
    ready
        Whether they are done; nothing is changed before.
    """

    generation: str
    collection: str
    items: str
    sources: str
    tasks: tuple[str, ...] = ()
    ready: bool = False

    @property
    def document(self) -> str:
        return identifier("target", self.generation, self.collection)

    def dump(self) -> dict[str, Any]:
        return {
            "collection": self.collection,
            "items": self.items,
            "sources": self.sources,
            "tasks": list(self.tasks),
            "ready": self.ready,
        }

    @classmethod
    def load(cls, source: Mapping[str, Any]) -> Target:
        content = dict(source["content"])
        return cls(generation=source["generation"], **{**content, "tasks": tuple(content["tasks"])})


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
            "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1", **(settings or {})}},
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

    def building(self, generation: str) -> Building:
        """Return a generation that is under construction.

        Raises
        ------
        NotFoundError
            Where it has not begun, or is no longer under construction.
        """
        source, _ = self.get(identifier("building", generation))
        if source is None:
            raise NotFoundError(
                f"generation {generation} has not begun, or a later sync has replaced it; start a new one"
            )
        return Building(**source["content"])

    def begin(self, generation: str, base: str | None, regions: Sequence[str]) -> None:
        """Note that a generation is under construction; a repetition changes nothing."""
        content = {
            "kind": "building",
            "generation": generation,
            "content": {"base": base, "regions": list(regions)},
        }
        self.put(identifier("building", generation), content, None)

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
        found = self._find({"term": {"generation": generation}}, {"term": {"kind": "target"}})
        targets = [Target.load(hit["_source"]) for hit in found]
        return {target.collection: target for target in targets}

    def note_attempt(self, target: Target) -> None:
        """Note indexes before they are created, so that they are found again whatever happens."""
        source = {"kind": "attempt", "generation": target.generation, "content": target.dump()}
        self.put(identifier("attempt", target.items), source, None)

    def leftovers(self, generation: str, live: str | None) -> list[dict[str, Any]]:
        """Return the documents that :meth:`delete` takes once a generation has been swapped.

        These are all but those of others that are based on what is live then: they may follow it.
        """
        found = self._find({"terms": {"kind": ["attempt", "building", "summary", "target"]}})
        sources = [document["_source"] for document in found]
        others = {
            source["generation"]
            for source in sources
            if source["kind"] == "building" and source["content"]["base"] == live
        } - {generation}
        return [document for document in found if document["_source"]["generation"] not in others]

    def delete(self, documents: Sequence[dict[str, Any]], used: AbstractSet[str]) -> None:
        """Delete control documents, and the indexes that they name, except what is used."""
        lines: list[dict[str, Any]] = []
        for document in documents:
            source, name = document["_source"], document["_id"]
            content = source["content"]
            if source["kind"] == "attempt" and content["items"] in used:
                continue
            if source["kind"] == "summary" and name in {identifier("summary", index) for index in used}:
                continue
            if source["kind"] == "attempt":
                self.delete_indexes(content["items"], content["sources"])
            lines.append({"delete": {"_index": self.names.control, "_id": name}})
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
