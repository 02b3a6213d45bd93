"""Control documents as they are stored: a catalog that exists has to be read by the next version."""

from __future__ import annotations

from typing import Any

import pytest

from dask_regions.catalog.generations import Building, Freshness, Generations
from dask_regions.catalog.opensearch.documents import (
    CollectionIndexes,
    Live,
    Target,
    building_of,
    counts_of,
    dump_building,
    leftovers,
)
from dask_regions.catalog.opensearch.fields import FORMAT, identifier

RESULT: Any = {"generation": "g2", "items": 3, "regions": {"us-west-2": 3}, "changed": True, "failed": {}}
COLLECTION = {"collection": "c", "items": "i2", "sources": "s2", "count": 3, "regions": {"us-west-2": 3}}
CONTENT: dict[str, Any] = {
    "format": FORMAT,
    "live": "g2",
    "generations": {"g1": {}, "g2": {"c": COLLECTION}},
    "freshness": {"us-west-2": {"synced": "2026-11-24T00:00:00Z", "error": None}},
    "results": {"g2": RESULT},
}


def test_what_is_live_is_read_and_written() -> None:
    live = Live.load(CONTENT)
    assert live.state == Generations(
        live="g2",
        previous="g1",
        freshness={"us-west-2": Freshness("2026-11-24T00:00:00Z", None)},
        results={"g2": RESULT},
    )
    assert live.collections == {"c": CollectionIndexes("c", "i2", "s2", 3, {"us-west-2": 3})}
    assert live.indexes == {"i2", "s2"}
    assert live.dump() == CONTENT


def test_a_generation_without_a_previous_one() -> None:
    live = Live.load({**CONTENT, "generations": {"g2": {}}})
    assert (live.state.previous, live.collections) == (None, {})


def test_before_the_first_swap_nothing_is_live() -> None:
    assert (Live().collections, Live().indexes, Live().readable) == ({}, frozenset(), True)
    assert Live.load(Live().dump()) == Live()


@pytest.mark.parametrize("content", [{**CONTENT, "format": "older"}, {"live": "g2"}])
def test_another_format_is_not_read(content: dict[str, Any]) -> None:
    live = Live.load(content)
    assert (live.readable, live.state, live.collections) == (False, Generations("g2"), {})


def test_a_generation_under_way() -> None:
    source = {
        "kind": "building",
        "generation": "g3",
        "content": {"base": "g2", "regions": ["us-west-2"]},
    }
    assert building_of(source) == Building("g2", ("us-west-2",))
    assert dump_building("g3", Building("g2", ("us-west-2",))) == source


def test_a_target() -> None:
    content = {"collection": "c", "items": "i", "sources": "s", "tasks": ["n:1", "n:2"], "ready": False}
    target = Target("g3", "c", "i", "s", ("n:1", "n:2"))
    assert target.dump() == content
    assert Target.load({"kind": "target", "generation": "g3", "content": content}) == target
    assert target.document == identifier("target", "g3", "c")


def test_counts_are_by_region_and_collection() -> None:
    parts = {
        "c": CollectionIndexes("c", "i", "s", 4, {"us-west-2": 3, "us-east-1": 2}),
        "d": CollectionIndexes("d", "i", "s", 1, {"us-west-2": 1}),
    }
    assert counts_of(parts) == {"us-west-2": {"c": 3, "d": 1}, "us-east-1": {"c": 2}}
    assert counts_of({}) == {}


def document(kind: str, generation: str, items: str = "", name: str = "") -> dict[str, Any]:
    content = {"items": items, "sources": items}
    return {"_id": name or kind, "_source": {"kind": kind, "generation": generation, "content": content}}


@pytest.mark.parametrize(
    ("candidate", "is_left_over"),
    [
        (document("building", "g2"), True),
        (document("target", "g2", "i2"), True),
        (document("attempt", "g2", "i2"), False),
        (document("attempt", "g2", "another try"), True),
        (document("attempt", "g1", "i2"), False),
        (document("summary", "g1", name=identifier("summary", "i2")), False),
        (document("summary", "g1", name=identifier("summary", "i1")), True),
        (document("building", "g1"), True),
        (document("building", "g3"), False),
        (document("attempt", "g3", "i3"), False),
    ],
)
def test_what_is_of_no_use_any_more(candidate: dict[str, Any], is_left_over: bool) -> None:
    following = Generations("g2", building={"g3": Building("g2", ())})
    expected = [candidate] if is_left_over else []
    assert leftovers([candidate], following, frozenset({"i2", "s2"})) == expected
