"""The control documents of a catalog: what each says, and how it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dask_regions import names
from dask_regions.catalog.generations import Building, Counts, Freshness, Generations
from dask_regions.catalog.opensearch.fields import FORMAT, identifier

__all__ = ["CollectionIndexes", "Live", "Names", "Target", "Version", "building_of", "dump_building"]


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
    """Version of a document, to replace it only if nobody has."""

    seq_no: int
    primary_term: int

    @property
    def parameters(self) -> dict[str, str]:
        return {"if_seq_no": str(self.seq_no), "if_primary_term": str(self.primary_term)}


@dataclass(frozen=True)
class CollectionIndexes:
    """A Collection in a generation: its two indexes, which never change again, and their counts.

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

    @property
    def indexes(self) -> tuple[str, str]:
        return self.items, self.sources

    def dump(self) -> dict[str, Any]:
        return {**asdict(self), "regions": dict(self.regions)}


@dataclass(frozen=True)
class Live:
    """Content of the document ``live``; all empty before the first swap.

    It does not say which generations are under way: each of them has a document of its own, so that a sync
    that begins does not get in the way of one that is swapped in.

    Attributes
    ----------
    state
        Which generations there are, those under way left out.
    contents
        What the live and the previous generation have, by Collection.
    readable
        False where the catalog was written in another format.
    """

    state: Generations = field(default_factory=Generations)
    contents: Mapping[str, Mapping[str, CollectionIndexes]] = field(default_factory=dict)
    readable: bool = True

    @property
    def collections(self) -> Mapping[str, CollectionIndexes]:
        """What the live generation has, by Collection."""
        return self.contents.get(self.state.live or "", {})

    @property
    def indexes(self) -> frozenset[str]:
        """Indexes that are searched, or may be."""
        contents = (part for collections in self.contents.values() for part in collections.values())
        return frozenset(index for part in contents for index in part.indexes)

    @classmethod
    def load(cls, content: Mapping[str, Any]) -> Live:
        if content.get("format") != FORMAT:
            return cls(Generations(content.get("live")), readable=False)
        contents = {
            generation: {collection: CollectionIndexes(**part) for collection, part in collections.items()}
            for generation, collections in content["generations"].items()
        }
        live = content["live"]
        state = Generations(
            live=live,
            previous=next((generation for generation in contents if generation != live), None),
            freshness={region: Freshness(**fresh) for region, fresh in content["freshness"].items()},
            results=content["results"],
        )
        return cls(state, contents)

    def dump(self) -> dict[str, Any]:
        generations = {
            generation: {collection: part.dump() for collection, part in collections.items()}
            for generation, collections in self.contents.items()
        }
        return {
            "format": FORMAT,
            "live": self.state.live,
            "generations": generations,
            "freshness": {region: asdict(fresh) for region, fresh in self.state.freshness.items()},
            "results": dict(self.state.results),
        }


def building_of(source: Mapping[str, Any]) -> Building:
    """Return the generation under way that a control document notes."""
    return Building(source["content"]["base"], tuple(source["content"]["regions"]))


def dump_building(generation: str, building: Building) -> dict[str, Any]:
    """Return the control document of a generation under way; the inverse of :func:`building_of`."""
    content = {"base": building.base, "regions": list(building.regions)}
    return {"kind": "building", "generation": generation, "content": content}


@dataclass(frozen=True)
class Target:
    """A Collection's indexes in a generation that is being written.

    Attributes
    ----------
    tasks
        Ids of OpenSearch's tasks that copy the live generation's documents into the new indexes.
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


def counts_of(collections: Mapping[str, CollectionIndexes]) -> Counts:
    """Return the number of Items of a generation, by Region and Collection."""
    counts: dict[str, dict[str, int]] = {}
    for collection, part in collections.items():
        for region, count in part.regions.items():
            counts.setdefault(region, {})[collection] = count
    return counts


def leftovers(
    documents: list[dict[str, Any]], following: Generations, used: frozenset[str]
) -> list[dict[str, Any]]:
    """Return those control documents that are of no use once a state is the live one.

    Parameters
    ----------
    documents
        Hits of a search for control documents, made before the state becomes the live one: what begins
        later may follow it, and is not among them.
    used
        Indexes of the live and the previous generation, which older generations may have made.
    """
    summaries = {identifier("summary", index) for index in used}
    return [
        document
        for document in documents
        if document["_source"]["generation"] not in following.building
        and not (document["_source"]["kind"] == "attempt" and document["_source"]["content"]["items"] in used)
        and document["_id"] not in summaries
    ]
