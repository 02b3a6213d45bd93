"""OpenSearch under several processes: readers while syncs swap, writers that meet, writers that die."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import Put, RegionOutcome, Remove
from dask_regions.catalog.opensearch import OpenSearchCatalog
from dask_regions.errors import UnavailableError
from testing import processes

WEST, EAST = "us-west-2", "us-east-1"
DECLARED = {WEST: ["c"], EAST: ["c"]}
SWAPS, ITEMS = 20, 30


def put(item_id: str, region: str = WEST, **properties: Any) -> Put:
    item = {
        "id": item_id,
        "collection": "c",
        "geometry": None,
        "bbox": None,
        "assets": {},
        "properties": {"datetime": "2000-01-01T00:00:00Z", "regions": [region], **properties},
    }
    return Put(item_id, json.dumps(properties), item)


def ids(store: OpenSearchCatalog) -> list[str]:
    return [item["id"] for item in store.search(SearchQuery(limit=1000)).items]


def test_a_reader_sees_each_generation_whole_while_twenty_are_swapped_in(opensearch_url: str) -> None:
    """Every generation has one Item more, and renames the scenario of all."""
    store, reader = OpenSearchCatalog(opensearch_url), OpenSearchCatalog(opensearch_url)
    store.begin("g00", [WEST])
    store.write("g00", WEST, "c", [put(f"i{n}", scenario="g00") for n in range(ITEMS)])
    store.swap("g00", {WEST: RegionOutcome({"c": ITEMS})}, DECLARED)
    done, seen = threading.Event(), set[str]()
    wrong, latest = list[Any](), ITEMS

    def read() -> None:
        nonlocal latest
        while not done.is_set():
            page = reader.search(SearchQuery(limit=1000))
            generations = {item["properties"]["scenario"] for item in page.items}
            whole = len(page.items) == page.matched == ITEMS + int(max(generations)[1:])
            if len(generations) != 1 or not whole or page.matched < latest:
                wrong.append((generations, len(page.items), page.matched, latest))
            latest = page.matched
            seen.update(generations)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(1, SWAPS + 1):
            generation = f"g{number:02}"
            store.begin(generation, [WEST])
            changes = [put(f"i{n}", scenario=generation) for n in range(ITEMS + number)]
            store.write(generation, WEST, "c", changes)
            store.swap(generation, {WEST: RegionOutcome({"c": ITEMS + number})}, DECLARED)
    finally:
        done.set()
        thread.join()
    assert wrong == []
    assert len(seen) > SWAPS // 2


WRITER = """
import json, sys
from dask_regions.catalog.opensearch import OpenSearchCatalog
from dask_regions.catalog.changes import Put

url, region, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = OpenSearchCatalog(url)

def changes():
    for n in range(count):
        yield Put(f"{n}", "1", {
            "id": f"i{n}", "collection": "c", "geometry": None, "bbox": None, "assets": {},
            "properties": {"datetime": "2000-01-01T00:00:00Z", "regions": [region]},
        })
    print("written", flush=True)
    if len(sys.argv) > 4:
        sys.stdin.read()

print(store.write("g2", region, "c", changes()), flush=True)
"""


def writer(url: str, region: str, count: int, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, url, region, str(count), *more]
    return processes.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.fixture
def store(opensearch_url: str) -> OpenSearchCatalog:
    store = OpenSearchCatalog(opensearch_url)
    store.begin("g1", [WEST])
    store.write("g1", WEST, "c", [put("first"), put("i0"), put("i1")])
    store.swap("g1", {WEST: RegionOutcome({"c": 3})}, DECLARED)
    return store


def test_writers_of_two_regions_that_meet_on_every_item_lose_nothing(
    store: OpenSearchCatalog, opensearch_url: str
) -> None:
    store.begin("g2", [WEST, EAST])
    with writer(opensearch_url, WEST, 600) as western, writer(opensearch_url, EAST, 600) as eastern:
        assert western.communicate()[0].splitlines()[-1] == b"600"
        assert eastern.communicate()[0].splitlines()[-1] == b"600"
    result = store.swap("g2", {WEST: RegionOutcome({"c": 601}), EAST: RegionOutcome({"c": 600})}, DECLARED)
    assert result["items"] == 601
    regions = [item["properties"]["regions"] for item in _all(store) if item["id"] != "first"]
    assert regions == [[EAST, WEST]] * 600


def _all(store: OpenSearchCatalog) -> Iterator[dict[str, Any]]:
    return iter(store.search(SearchQuery(limit=1000)).items)


def test_a_writer_that_is_killed_leaves_the_catalog_and_the_next_sync_completes_it(
    store: OpenSearchCatalog, opensearch_url: str
) -> None:
    before = ids(store)
    store.begin("g2", [WEST])
    with writer(opensearch_url, WEST, 550, "wait") as killed:
        assert killed.stdout is not None
        # The first batch of 500 has been written, the rest never is.
        assert killed.stdout.readline() == b"written\n"
        killed.kill()
    assert ids(OpenSearchCatalog(opensearch_url)) == before
    store.begin("g3", [WEST])
    store.write("g3", WEST, "c", [put("third"), Remove("first")])
    store.swap("g3", {WEST: RegionOutcome({"c": 3})}, DECLARED)
    assert ids(store) == ["i0", "i1", "third"]


def test_nothing_of_dead_generations_is_left_behind(
    store: OpenSearchCatalog, opensearch_url: str, opensearch_server: str
) -> None:
    store.begin("g2", [WEST])
    store.write("g2", WEST, "c", [put("second")])
    for number in range(3, 6):
        store.begin(f"g{number}", [WEST])
        store.write(f"g{number}", WEST, "c", [put(f"more{number}")])
        store.swap(f"g{number}", {WEST: RegionOutcome({"c": number + 1})}, DECLARED)
    prefix = opensearch_url.rpartition("/")[2]
    assert _indexes(opensearch_server, prefix) == {"items": 2, "sources": 2, "catalog": 1, "geometries": 1}
    live = store._control.live()[0]
    answer = store._control._client.request("GET", ["_alias", f"{prefix}-items"])
    assert list(answer) == [live.collections["c"].items]


def _indexes(server: str, prefix: str) -> dict[str, int]:
    from dask_regions.catalog.opensearch.client import Client

    counts: dict[str, int] = {}
    for index in Client(server).request("GET", [f"{prefix}-*", "_alias"]):
        kind = index.removeprefix(f"{prefix}-").partition("-")[0]
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def test_a_swap_that_was_cut_off_is_completed_by_its_repetition(
    store: OpenSearchCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.begin("g2", [WEST])
    store.write("g2", WEST, "c", [put("second")])
    outcomes = {WEST: RegionOutcome({"c": 4})}
    with monkeypatch.context() as patch:
        patch.setattr(type(store._control), "go_live", _die)
        with pytest.raises(SystemExit):
            store.swap("g2", outcomes, DECLARED)
    assert "second" not in ids(store)
    assert store.swap("g2", outcomes, DECLARED)["items"] == 4
    assert "second" in ids(store)


def _die(*_: Any) -> None:
    raise SystemExit


def test_of_two_swaps_at_once_one_wins(store: OpenSearchCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    for generation in ("g2", "g3"):
        store.begin(generation, [WEST])
        store.write(generation, WEST, "c", [put(generation)])
    go_live = type(store._control).go_live
    outcomes = {WEST: RegionOutcome({"c": 4})}

    def overtaken(*arguments: Any) -> bool:
        monkeypatch.setattr(type(store._control), "go_live", go_live)
        store.swap("g3", outcomes, DECLARED)
        return go_live(*arguments)

    monkeypatch.setattr(type(store._control), "go_live", overtaken)
    with pytest.raises(UnavailableError, match="g3 was swapped in while g2"):
        store.swap("g2", outcomes, DECLARED)
    assert "g3" in ids(store)
    assert "g2" not in ids(store)


def test_a_catalog_of_another_version_is_reported(
    store: OpenSearchCatalog, opensearch_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dask_regions.catalog.opensearch.documents.FORMAT", "newer")
    with pytest.raises(UnavailableError, match="another version"):
        ids(OpenSearchCatalog(opensearch_url))
    assert list(store.known(WEST, "c")) == []
    store.begin("g2", [WEST])
    store.write("g2", WEST, "c", [put("new")])
    store.swap("g2", {WEST: RegionOutcome({"c": 1})}, DECLARED)
    assert ids(store) == ["new"]
