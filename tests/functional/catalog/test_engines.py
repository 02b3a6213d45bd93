"""What holds of every engine of the catalog as syncs come and go: generations, Regions, sources, tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import Known, Put, RegionOutcome, Remove
from dask_regions.catalog.engines import Catalog, open_catalog
from dask_regions.catalog.generations import SwapResult
from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from testing.catalog.generations import ids, make_item
from testing.catalog.stac_api import ENGINES, engine_url

WEST, EAST = "us-west-2", "us-east-1"
DECLARED = {WEST: ["cmip6", "Era5"], EAST: ["cmip6", "Era5"]}


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return engine_url(request.param, request, tmp_path)


@pytest.fixture
def store(url: str) -> Catalog:
    return open_catalog(url)


def put(item: Mapping[str, Any], fingerprint: str = "1") -> Put:
    return Put(f"{item['id']}/", fingerprint, item)


def sync(
    store: Catalog,
    generation: str,
    changes: Mapping[str, Iterable[Put | Remove]],
    counts: Mapping[str, int],
    failed: Mapping[str, str] | None = None,
    declared: Mapping[str, Sequence[str]] | None = None,
) -> SwapResult:
    """Sync the Collection cmip6; ``counts`` are the Items that each Region has afterwards."""
    failed = failed or {}
    store.begin(generation, [*counts, *failed])
    for region, own in changes.items():
        store.write(generation, region, "cmip6", own)
    outcomes = {region: RegionOutcome({"cmip6": count}) for region, count in counts.items()}
    outcomes |= {region: RegionOutcome(error=error) for region, error in failed.items()}
    return store.swap(generation, outcomes, DECLARED if declared is None else declared)


def test_a_catalog_that_was_never_written_is_empty(store: Catalog) -> None:
    page = store.search(SearchQuery())
    assert (page.items, page.token, page.matched) == ([], None, 0)
    assert store.item("cmip6", "a") is None
    assert store.collections() == []
    assert store.freshness() == {}
    assert store.aggregate(SearchQuery(), ["scenario"]) == (0, {"scenario": []})
    assert list(store.known(WEST, "cmip6")) == []


def test_a_generation_is_invisible_until_it_is_swapped(store: Catalog) -> None:
    sync(store, "g1", {WEST: [put(make_item("old")), put(make_item("gone"))]}, {WEST: 2})
    store.begin("g2", [WEST])
    store.write("g2", WEST, "cmip6", [put(make_item("new")), Remove("gone/")])
    assert ids(store) == ["gone", "old"]
    assert store.item("cmip6", "new") is None
    result = store.swap("g2", {WEST: RegionOutcome({"cmip6": 2})}, DECLARED)
    assert ids(store) == ["new", "old"]
    assert result == {"generation": "g2", "items": 2, "regions": {WEST: 2}, "changed": True, "failed": {}}


def test_every_step_can_be_repeated(store: Catalog) -> None:
    for _ in range(2):
        store.begin("g1", [WEST])
        assert store.write("g1", WEST, "cmip6", [put(make_item("a")), put(make_item("b"))]) == 2
    outcomes = {WEST: RegionOutcome({"cmip6": 2})}
    first = store.swap("g1", outcomes, DECLARED)
    assert store.swap("g1", outcomes, DECLARED) == first
    store.begin("g1", [WEST])
    assert ids(store) == ["a", "b"]


def test_writing_into_a_generation_that_is_not_under_way_is_refused(store: Catalog) -> None:
    sync(store, "g1", {WEST: [put(make_item("a"))]}, {WEST: 1})
    for generation in ("g1", "never begun"):
        with pytest.raises(NotFoundError, match=generation):
            store.write(generation, WEST, "cmip6", [put(make_item("b"))])


def test_a_generation_that_was_overtaken_is_refused(store: Catalog) -> None:
    sync(store, "g1", {WEST: [put(make_item("a"))]}, {WEST: 1})
    store.begin("g2", [WEST])
    store.write("g2", WEST, "cmip6", [put(make_item("late"))])
    sync(store, "g3", {WEST: [put(make_item("new"))]}, {WEST: 2})
    with pytest.raises(NotFoundError, match="g2"):
        store.write("g2", WEST, "cmip6", [put(make_item("later"))])
    with pytest.raises((NotFoundError, UnavailableError), match="g2"):
        store.swap("g2", {WEST: RegionOutcome({"cmip6": 2})}, DECLARED)
    assert ids(store) == ["a", "new"]


def test_a_sync_without_changes_makes_no_generation(store: Catalog) -> None:
    sync(store, "g1", {WEST: [put(make_item("a"))]}, {WEST: 1}, failed={EAST: "no route"})
    result = sync(store, "g2", {}, {WEST: 1, EAST: 0})
    assert result == {"generation": "g1", "items": 1, "regions": {WEST: 1}, "changed": False, "failed": {}}
    assert store.freshness()[EAST]["stale"] is False
    assert store.swap("g2", {WEST: RegionOutcome({"cmip6": 1})}, DECLARED) == result
    assert ids(store) == ["a"]


def test_counts_that_do_not_agree_leave_the_live_generation(store: Catalog) -> None:
    sync(store, "g1", {WEST: [put(make_item("a"))]}, {WEST: 1})
    with pytest.raises(UnavailableError, match=r"has to have .*3.* and .*2.* are stored.* stays"):
        sync(store, "g2", {WEST: [put(make_item("b"))]}, {WEST: 3})
    assert ids(store) == ["a"]
    # The writer comes back with what was missing.
    store.write("g2", WEST, "cmip6", [put(make_item("c"))])
    store.swap("g2", {WEST: RegionOutcome({"cmip6": 3})}, DECLARED)
    assert ids(store) == ["a", "b", "c"]
    # Or it had counted wrong, and nothing was missing.
    with pytest.raises(UnavailableError, match="stays"):
        sync(store, "g3", {WEST: [put(make_item("d"))]}, {WEST: 5})
    assert ids(store) == ["a", "b", "c"]
    assert store.swap("g3", {WEST: RegionOutcome({"cmip6": 4})}, DECLARED)["generation"] == "g3"
    assert ids(store) == ["a", "b", "c", "d"]


def test_sources_are_known_in_the_order_of_their_bytes(store: Catalog) -> None:
    sources = [
        "b/", "a/", "a/é", "a/z", "a/\U0001f30d", "a/\uffee", "a0", "A/", "b/\n", "c/",
        "\U0001f30d", "\uffff",
    ]  # fmt: skip
    changes = [Put(source, "1", make_item(f"i{n}")) for n, source in enumerate(sources)]
    changes[9] = Put("c/", "9", None, "no time axis")
    store.begin("g1", [WEST, EAST])
    store.write("g1", WEST, "cmip6", changes)
    store.write("g1", EAST, "cmip6", [Put("a/other", "1", make_item("e", EAST))])
    assert list(store.known(WEST, "cmip6")) == []
    store.swap("g1", {WEST: RegionOutcome({"cmip6": 11}), EAST: RegionOutcome({"cmip6": 1})}, DECLARED)
    known = list(store.known(WEST, "cmip6"))
    assert [source.source for source in known] == sorted(sources, key=str.encode)
    assert known[0] == Known("A/", "1", "i7", None)
    assert Known("c/", "9", None, "no time axis") in known
    assert [source.source for source in store.known(WEST, "cmip6", "a/")] == [
        "a/", "a/z", "a/é", "a/\uffee", "a/\U0001f30d",
    ]  # fmt: skip
    assert [source.source for source in store.known(WEST, "cmip6", "\U0001f30d")] == ["\U0001f30d"]
    assert list(store.known(WEST, "Era5")) == []


def test_changes_are_what_a_sync_writes(store: Catalog) -> None:
    items = [make_item(name) for name in ("kept", "changed", "gone", "moved", "broken")]
    sync(store, "g1", {WEST: [put(item) for item in items]}, {WEST: 5})
    changes: list[Put | Remove] = [
        put(make_item("changed", properties={"scenario": "A1B"}), "2"),
        Remove("gone/"),
        Put("moved/", "2", make_item("moved on")),
        Put("broken/", "2", None, "truncated"),
        Put("new/", "1", make_item("new")),
        Remove("never there/"),
    ]
    sync(store, "g2", {WEST: changes}, {WEST: 4})
    assert ids(store) == ["changed", "kept", "moved on", "new"]
    assert ids(store, filter={"op": "=", "args": [{"property": "scenario"}, "A1B"]}) == ["changed"]
    assert ids(store, q=["gone", "moved", "broken"]) == ["moved on"]
    assert {source.source: (source.fingerprint, source.item_id) for source in store.known(WEST, "cmip6")} == {
        "broken/": ("2", None),
        "changed/": ("2", "changed"),
        "kept/": ("1", "kept"),
        "moved/": ("2", "moved on"),
        "new/": ("1", "new"),
    }


def test_an_item_that_moves_to_another_source_stays(store: Catalog) -> None:
    sync(store, "g1", {WEST: [Put("old/", "1", make_item("a"))]}, {WEST: 1})
    sync(store, "g2", {WEST: [Put("new/", "1", make_item("a")), Remove("old/")]}, {WEST: 1})
    assert ids(store) == ["a"]
    sync(store, "g3", {WEST: [Remove("new/"), Put("old/", "2", make_item("a"))]}, {WEST: 1})
    assert ids(store) == ["a"]
    sync(store, "g4", {WEST: [Remove("old/")]}, {WEST: 0})
    assert ids(store) == []


def test_one_item_lists_all_regions_that_hold_it(store: Catalog) -> None:
    changes = {region: [put(make_item("a", region))] for region in (WEST, EAST)}
    sync(store, "g1", changes, {WEST: 1, EAST: 1})
    item = store.item("cmip6", "a")
    assert item is not None
    assert item["properties"]["regions"] == [EAST, WEST]
    assert item["properties"]["storage:schemes"].keys() == {f"s3-{EAST}", f"s3-{WEST}"}
    assert {alternate["href"] for alternate in item["assets"]["data"]["alternate"].values()} == {
        f"file:///fsx/{WEST}/a",
        f"file:///fsx/{EAST}/a",
        f"s3://bucket-{WEST}/a",
    }
    for region in (WEST, EAST):
        assert ids(store, filter={"op": "a_contains", "args": [{"property": "regions"}, [region]]}) == ["a"]
    sync(store, "g2", {WEST: [Remove("a/")]}, {WEST: 0})
    item = store.item("cmip6", "a")
    assert item is not None
    assert item["properties"]["regions"] == [EAST]
    assert "alternate" in item["assets"]["data"]


def test_a_failed_region_keeps_what_it_has_and_is_stale(store: Catalog) -> None:
    before = [put(make_item("e1", EAST)), put(make_item("e2", EAST)), put(make_item("both", EAST))]
    west = [put(make_item("w1")), put(make_item("both"))]
    sync(store, "g1", {WEST: west, EAST: before}, {WEST: 2, EAST: 3})
    synced, known = store.freshness()[EAST]["synced"], list(store.known(EAST, "cmip6"))
    assert [(source.source, source.fingerprint) for source in known] == [
        ("both/", "1"),
        ("e1/", "1"),
        ("e2/", "1"),
    ]
    half: list[Put | Remove] = [
        put(make_item("half", EAST)),
        Remove("e1/"),
        put(make_item("e2", EAST, properties={"scenario": "wrong"}), "2"),
        Remove("both/"),
    ]
    changes: dict[str, list[Put | Remove]] = {WEST: [put(make_item("w2"))], EAST: half}
    result = sync(store, "g2", changes, {WEST: 3}, failed={EAST: "no route"})
    assert result["failed"] == {EAST: "no route"}
    assert result["regions"] == {EAST: 3, WEST: 3}
    assert ids(store) == ["both", "e1", "e2", "w1", "w2"]
    assert ids(store, filter={"op": "isNull", "args": [{"property": "scenario"}]}) == ids(store)
    assert ids(store, q=["wrong", "half"]) == []
    both = store.item("cmip6", "both")
    assert both is not None
    assert both["properties"]["regions"] == [EAST, WEST]
    assert list(store.known(EAST, "cmip6")) == known
    assert store.freshness()[EAST] == {"synced": synced, "stale": True, "error": "no route"}
    assert store.freshness()[WEST]["stale"] is False


def test_a_sync_in_which_every_region_failed_changes_no_item(store: Catalog) -> None:
    sync(store, "g1", {WEST: [put(make_item("w1"))]}, {WEST: 1})
    result = sync(store, "g2", {WEST: [put(make_item("half")), Remove("w1/")]}, {}, failed={WEST: "denied"})
    assert (result["generation"], result["changed"]) == ("g1", False)
    assert ids(store) == ["w1"]
    assert store.freshness()[WEST]["stale"] is True


def test_a_region_that_recovers_is_no_longer_stale(store: Catalog) -> None:
    sync(store, "g1", {WEST: [put(make_item("w1"))]}, {WEST: 1}, failed={EAST: "no route"})
    assert store.freshness()[EAST] == {"synced": None, "stale": True, "error": "no route"}
    sync(store, "g2", {EAST: [put(make_item("e2", EAST))]}, {EAST: 1})
    assert store.freshness()[EAST]["stale"] is False
    assert ids(store) == ["e2", "w1"]


@pytest.mark.parametrize("changes", [{}, {WEST: [put(make_item("a"), "2")]}], ids=["alone", "with changes"])
def test_a_region_that_is_no_longer_declared_is_forgotten(
    store: Catalog, changes: Mapping[str, Iterable[Put | Remove]]
) -> None:
    east = [put(make_item("a", EAST)), put(make_item("e", EAST))]
    sync(store, "g1", {WEST: [put(make_item("a"))], EAST: east}, {WEST: 1, EAST: 2})
    result = sync(store, "g2", changes, {WEST: 1}, declared={WEST: ["cmip6"]})
    assert (result["generation"], result["regions"]) == ("g2", {WEST: 1})
    assert ids(store) == ["a"]
    item = store.item("cmip6", "a")
    assert item is not None
    assert item["properties"]["regions"] == [WEST]
    assert store.freshness().keys() == {WEST}
    assert list(store.known(EAST, "cmip6")) == []


def test_a_collection_that_is_no_longer_declared_is_forgotten(store: Catalog) -> None:
    store.begin("g1", [WEST])
    store.write("g1", WEST, "cmip6", [put(make_item("kept"))])
    store.write("g1", WEST, "Era5", [put(make_item("gone", collection="Era5"))])
    store.swap("g1", {WEST: RegionOutcome({"cmip6": 1, "Era5": 1})}, DECLARED)
    assert ids(store) == ["gone", "kept"]
    sync(store, "g2", {}, {WEST: 1}, declared={WEST: ["cmip6"]})
    assert ids(store) == ["kept"]
    assert [collection["id"] for collection in store.collections()] == ["cmip6"]


def test_a_collection_that_nobody_changed_is_in_the_next_generation(store: Catalog) -> None:
    store.begin("g1", [WEST])
    store.write("g1", WEST, "cmip6", [put(make_item("a"))])
    store.write("g1", WEST, "Era5", [put(make_item("e", collection="Era5"))])
    store.swap("g1", {WEST: RegionOutcome({"cmip6": 1, "Era5": 1})}, DECLARED)
    for number in range(2, 6):
        store.begin(f"g{number}", [WEST])
        store.write(f"g{number}", WEST, "cmip6", [put(make_item(f"a{number}"))])
        store.swap(f"g{number}", {WEST: RegionOutcome({"cmip6": number, "Era5": 1})}, DECLARED)
    assert ids(store, collections=["Era5"]) == ["e"]
    assert ids(store) == ["e", "a", "a2", "a3", "a4", "a5"]
    assert [(collection["id"], collection["items"]) for collection in store.collections()] == [
        ("Era5", 1),
        ("cmip6", 5),
    ]


def test_paging_goes_on_in_its_generation_and_ends_with_it(store: Catalog) -> None:
    sync(store, "g1", {WEST: [put(make_item(f"i{n}")) for n in range(4)]}, {WEST: 4})
    token = store.search(SearchQuery(limit=2)).token
    sync(store, "g2", {WEST: [put(make_item("i22")), Remove("i3/")]}, {WEST: 4})
    page = store.search(SearchQuery(limit=2, token=token))
    assert [item["id"] for item in page.items] == ["i2", "i3"]
    assert (page.token, page.matched) == (None, 4)
    sync(store, "g3", {WEST: [put(make_item("newer"))]}, {WEST: 5})
    with pytest.raises(RequestError, match=r"token: .* renewed"):
        store.search(SearchQuery(limit=2, token=token))


def test_a_reader_of_an_older_generation_follows_the_live_one(store: Catalog, url: str) -> None:
    sync(store, "g1", {WEST: [put(make_item("a"))]}, {WEST: 1})
    reader = open_catalog(url)
    assert ids(reader) == ["a"]
    for number in range(2, 5):
        sync(store, f"g{number}", {WEST: [put(make_item(f"a{number}"))]}, {WEST: number})
    assert ids(reader) == ["a", "a2", "a3", "a4"]
    token = reader.search(SearchQuery(limit=2)).token
    assert [item["id"] for item in open_catalog(url).search(SearchQuery(limit=2, token=token)).items] == [
        "a3", "a4",
    ]  # fmt: skip


def test_an_item_comes_back_as_it_was_written(store: Catalog) -> None:
    odd = {
        "a.b": {"c.d": [1, 1.0, 1e-7, 1e22, 2**63, -0.5, True, None, {}, []]},
        "": "empty",
        "nested": [[{"x": []}]],
        "日本": "語",
    }
    item = make_item("a", properties={"odd": odd})
    sync(store, "g1", {WEST: [put(item)]}, {WEST: 1})
    assert store.item("cmip6", "a") == item
    assert store.search(SearchQuery()).items == [item]
    sync(store, "g2", {WEST: [put(make_item("b"))]}, {WEST: 2})
    assert store.item("cmip6", "a") == item


def test_an_item_that_is_wrong_is_refused_by_name(store: Catalog) -> None:
    store.begin("g1", [WEST])
    timeless = make_item("timeless", properties={"start_datetime": None})
    with pytest.raises(RequestError, match="Item timeless: has no datetime"):
        store.write("g1", WEST, "cmip6", [put(timeless)])
    with pytest.raises(RequestError, match="Item a: scenario must be a string, not 585; quote it"):
        store.write("g1", WEST, "cmip6", [put(make_item("a", properties={"scenario": 585}))])
