"""What is asked: the same of every server, as pystac-client sends it (POST, JSON).

Values rotate through the facets, in the same order for all, so that no answer is merely remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from benchmarks.catalog.items import EXPERIMENTS, SOURCES, TABLES

__all__ = ["LIMIT", "QUERIES", "Answer", "Query", "answer_of"]

#: Items on a page; what STAC servers answer with where nothing is said.
LIMIT = 10

Body = dict[str, Any]


class Answer(NamedTuple):
    """What has to be the same from all: how many match, and which are the first or how they spread."""

    matched: int | None
    first: tuple[Any, ...]


@dataclass(frozen=True)
class Query:
    """A kind of request.

    Attributes
    ----------
    name, title
        Short name, and one line for people.
    make
        A body, from a source of randomness.
    path
        Where it is posted to.
    depth
        Which page of the result is asked for; 1 is the first.
    note
        Where servers differ in what they understand.
    """

    name: str
    title: str
    make: Callable[[Random], Body]
    path: str = "/search"
    depth: int = 1
    note: str = ""

    def bodies(self, count: int, seed: int = 0) -> list[Body]:
        """Return as many bodies: the same ones in every run, others for another seed."""
        random = Random(seed)  # noqa: S311  nothing secret
        return [self.make(random) for _ in range(count)]


def answer_of(document: Mapping[str, Any]) -> Answer:
    """Return what a server answered, without what is its own: links, order of keys, data types' names."""
    if "aggregations" in document:
        aggregations = {aggregation["name"]: aggregation for aggregation in document["aggregations"]}
        buckets = aggregations["collection_frequency"]["buckets"]
        spread = sorted((bucket["key"], bucket["frequency"]) for bucket in buckets)
        return Answer(int(aggregations["total_count"]["value"]), tuple(spread))
    return Answer(document.get("numberMatched"), tuple(item["id"] for item in document["features"]))


def _property(name: str) -> Body:
    return {"property": name}


def _is(operator: str, *args: Any) -> Body:
    return {"op": operator, "args": list(args)}


def _two_facets(random: Random) -> Body:
    return {
        "query": {
            "cmip6:source_id": {"eq": random.choice(list(SOURCES))},
            "cmip6:experiment_id": {"eq": random.choice(list(EXPERIMENTS))},
        },
        "limit": LIMIT,
    }


def _place(random: Random) -> list[float]:
    # A third of the boxes lies at a pole, where some models' grids end.
    south = random.choice([-89.9, random.uniform(-60, 60), 89.4])
    west = random.uniform(-170, 150)
    return [round(west, 3), round(south, 3), round(west + 5, 3), round(min(south + 5, 89.8), 3)]


def _place_and_time(random: Random) -> Body:
    year = random.randrange(1850, 2340)
    return {
        "bbox": _place(random),
        "datetime": f"{year}-03-01T00:00:00Z/{year + 5}-06-30T00:00:00Z",
        "limit": LIMIT,
    }


def _mix(random: Random) -> Body:
    west, south, east, north = _place(random)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    sources = random.sample(list(SOURCES), 4)
    prefix = random.choice(["CESM2%", "CNRM-%", "%-LR", "GISS-E2-_-G"])
    models = _is(
        "or",
        _is("in", _property("cmip6:source_id"), sources),
        _is("like", _property("cmip6:source_id"), prefix),
    )
    ended = {"timestamp": f"{random.randrange(1990, 2101)}-01-01T00:00:00Z"}
    parts = [
        models,
        _is("not", _is("=", _property("cmip6:experiment_id"), random.choice(list(EXPERIMENTS)))),
        _is("in", _property("cmip6:table_id"), random.sample(list(TABLES), 3)),
        _is(">=", _property("end_datetime"), ended),
        _is("s_intersects", _property("geometry"), {"type": "Polygon", "coordinates": [ring]}),
    ]
    return {"filter-lang": "cql2-json", "filter": _is("and", *parts), "limit": LIMIT}


def _everything(_: Random) -> Body:
    return {"limit": LIMIT}


def _count(random: Random) -> Body:
    table = random.choice(list(TABLES))
    variable = random.choice(TABLES[table][2])
    chosen = _is(
        "and",
        _is("=", _property("cmip6:table_id"), table),
        _is("=", _property("cmip6:variable_id"), variable),
    )
    return {
        "aggregations": ["total_count", "collection_frequency"],
        "filter-lang": "cql2-json",
        "filter": chosen,
    }


QUERIES = {
    query.name: query
    for query in (
        Query("facets", "two facets", _two_facets, note="by the query extension, the cheapest way of both"),
        Query("place and time", "bbox and datetime", _place_and_time),
        Query(
            "cql2",
            "CQL2: or, in, like, not, a timestamp, s_intersects",
            _mix,
            note="no casei, arrays and temporal functions, which the peer lacks; its like ignores case, so "
            "that only patterns are asked for where that makes no difference",
        ),
        Query("page 1", "all Items, page 1", _everything),
        Query("page 1000", "all Items, page 1,000 and those after it", _everything, depth=1000),
        Query(
            "aggregation",
            "count by Collection, two facets given",
            _count,
            path="/aggregate",
            note="the peer counts by Collection, month and grid cell only: not by Region or variable",
        ),
    )
}
