"""Other processes read, write and die while a sync is under way: every answer is of one whole generation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import RegionOutcome
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.errors import RequestError
from testing import processes
from testing.catalog.generations import put, sync

ROOT = Path(__file__).parents[3]
ITEMS, GENERATIONS, REGION = 60, 20, "us-west-2"
DECLARED = {REGION: ["cmip6"]}


def make_items(generation: str) -> list[dict[str, object]]:
    properties = {"datetime": "2000-01-01T00:00:00Z", "scenario": generation}
    return [
        {"id": f"i{n}", "collection": "cmip6", "geometry": None, "properties": properties, "assets": {}}
        for n in range(ITEMS)
    ]


WRITER = """
import sys
from tests.functional.catalog.test_concurrency import GENERATIONS, REGION, make_items
from dask_regions.catalog.sqlite import SqliteCatalog
from testing.catalog.generations import sync

store = SqliteCatalog(sys.argv[1])
for number in range(GENERATIONS):
    generation = f"g{number:02}"
    sync(store, generation, {REGION: make_items(generation)}, declared={REGION: ["cmip6"]})
"""


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return processes.start(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def check_two_pages(store: SqliteCatalog) -> None:
    """The second page may be asked for after the next swap, and is of the first one's generation."""
    first = store.search(SearchQuery(limit=ITEMS // 2))
    if first.token is None:
        return
    try:
        second = store.search(SearchQuery(limit=ITEMS // 2, token=first.token))
    except RequestError:
        return  # two syncs were swapped in meanwhile
    both = [*first.items, *second.items]
    assert len({item["id"] for item in both}) == ITEMS
    assert len({item["properties"]["scenario"] for item in both}) == 1


def test_a_reader_never_sees_half_a_generation(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    shared = SqliteCatalog(url)

    def read(writer: subprocess.Popen[str], store: SqliteCatalog) -> set[str]:
        seen, running = set[str](), True
        while running:
            running = writer.poll() is None
            page = store.search(SearchQuery(limit=1000))
            generations = {item["properties"]["scenario"] for item in page.items}
            assert (len(page.items), len(generations)) in ((0, 0), (ITEMS, 1))
            assert page.matched == len(page.items)
            assert page.items or not seen
            check_two_pages(store)
            seen |= generations
        return seen

    with run(WRITER, url) as writer, ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read, writer, store) for store in (shared, shared, SqliteCatalog(url))]
        seen = [reader.result() for reader in readers]
    assert writer.returncode == 0
    assert all(f"g{GENERATIONS - 1:02}" in generations for generations in seen)


# Writes endlessly, or stops in the middle of a step, after having said so.
DYING = """
import sys, threading
from tests.functional.catalog.test_concurrency import REGION, make_items
from dask_regions.catalog.sqlite import SqliteCatalog, building, catalog, files
from dask_regions.catalog.changes import RegionOutcome
from testing.catalog.generations import put

url, step = sys.argv[1:]
replace = files.Files._replace

def stop(*arguments, **named):
    print("here", flush=True)
    threading.Event().wait()

def after(function):
    def call(*arguments, **named):
        function(*arguments, **named)
        stop()
    return call

if step == "copying":
    files.shutil.copyfile = after(files.shutil.copyfile)
if step == "writing":
    building.apply = after(building.apply)
if step == "sealing":
    catalog.seal = after(catalog.seal)
if step == "sealed":
    files.Files.sync = staticmethod(stop)
if step == "pointing":
    files.Files._replace = lambda self, pointer: stop() if pointer.live == "g2" else replace(self, pointer)
if step == "deleting":
    files.Files.delete_discarded = stop
store = SqliteCatalog(url)
store.begin("g2", [REGION])
store.write("g2", REGION, "cmip6", put(make_items("g2"), "2"))
store.swap("g2", {REGION: RegionOutcome({"cmip6": 60})}, {REGION: ["cmip6"]})
"""


@pytest.mark.parametrize("step", ["copying", "writing", "sealing", "sealed", "pointing", "deleting"])
def test_a_writer_that_is_killed_leaves_the_live_generation_and_the_next_sync_completes(
    tmp_path: Path, step: str
) -> None:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    store = SqliteCatalog(url)
    sync(store, "g0", {REGION: make_items("g0")}, declared=DECLARED)
    sync(store, "g1", {REGION: make_items("g1")}, declared=DECLARED)
    with run(DYING, url, step) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "here\n"
        os.kill(writer.pid, signal.SIGKILL)
    live = "g2" if step == "deleting" else "g1"
    for reader in (store, SqliteCatalog(url)):
        page = reader.search(SearchQuery(limit=1000))
        assert {item["properties"]["scenario"] for item in page.items} == {live}
        assert page.matched == len(page.items) == ITEMS
    # The same sync goes on where it was, or a new one replaces it.
    store.begin("g2", [REGION])
    if live == "g1" and step not in ("sealing", "sealed", "pointing"):
        store.write("g2", REGION, "cmip6", put(make_items("g2"), "2"))
    assert store.swap("g2", {REGION: RegionOutcome({"cmip6": ITEMS})}, DECLARED)["generation"] == "g2"
    sync(store, "g3", {REGION: make_items("g3")}, declared=DECLARED)
    page = SqliteCatalog(url).search(SearchQuery(limit=1000))
    assert {item["properties"]["scenario"] for item in page.items} == {"g3"}
    kept = {"catalog-g2.sqlite", "catalog-g3.sqlite", "catalog.sqlite", "catalog.sqlite.lock"}
    assert {file.name for file in tmp_path.iterdir()} == kept


@pytest.mark.parametrize("step", ["writing", "sealed"])
def test_what_a_killed_writer_left_is_cleared_away_by_another_sync(tmp_path: Path, step: str) -> None:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    store = SqliteCatalog(url)
    sync(store, "g1", {REGION: make_items("g1")}, declared=DECLARED)
    with run(DYING, url, step) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "here\n"
        os.kill(writer.pid, signal.SIGKILL)
    sync(store, "g3", {REGION: make_items("g3")}, declared=DECLARED)
    page = store.search(SearchQuery(limit=1000))
    assert {item["properties"]["scenario"] for item in page.items} == {"g3"}
    kept = {"catalog-g1.sqlite", "catalog-g3.sqlite", "catalog.sqlite", "catalog.sqlite.lock"}
    assert {file.name for file in tmp_path.iterdir()} == kept


WRITING_REGION = """
import sys
from dask_regions.catalog.sqlite import SqliteCatalog
from tests.functional.catalog.test_concurrency import make_items
from testing.catalog.generations import put

url, region = sys.argv[1:]
store = SqliteCatalog(url)
changes = put(make_items(region))
for start in range(0, len(changes), 5):
    store.write("g1", region, "cmip6", changes[start : start + 5])
"""


def test_processes_that_write_one_generation_at_once_lose_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    store, regions = SqliteCatalog(url), ["us-east-1", "us-west-2", "eu-west-2"]
    store.begin("g1", regions)
    writers = [run(WRITING_REGION, url, region) for region in regions]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    outcomes = {region: RegionOutcome({"cmip6": ITEMS}) for region in regions}
    result = store.swap("g1", outcomes, {region: ["cmip6"] for region in regions})
    assert result["regions"] == dict.fromkeys(sorted(regions), ITEMS)
    assert store.search(SearchQuery()).matched == ITEMS
