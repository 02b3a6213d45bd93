"""Readers in one process while another syncs: every answer is of one generation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dask_regions.catalog.query import SearchQuery
from dask_regions.catalog.sqlite import SqliteCatalog

ITEMS, GENERATIONS = 60, 12
WRITER = f"""
import sys
from dask_regions.catalog.sqlite import SqliteCatalog

store = SqliteCatalog(sys.argv[1])
for number in range({GENERATIONS}):
    generation = f"g{{number:02}}"
    store.begin(generation, ["us-west-2"])
    properties = {{"datetime": "2000-01-01T00:00:00Z", "scenario": generation}}
    count = store.write(generation, "us-west-2", [
        {{"id": f"i{{n}}", "collection": "c", "bbox": None, "properties": properties, "assets": {{}}}}
        for n in range({ITEMS})
    ])
    store.swap(generation, {{}}, {{"us-west-2": count}}, {{"us-west-2": ["cmip6"]}})
"""


def test_a_reader_never_sees_half_a_generation(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    store, query = SqliteCatalog(url), SearchQuery(limit=1000)
    seen = set()
    with subprocess.Popen([sys.executable, "-c", WRITER, url]) as writer:
        running = True
        while running:
            running = writer.poll() is None
            page = store.search(query)
            generations = {item["properties"]["scenario"] for item in page.items}
            assert (len(page.items), len(generations)) in ((0, 0), (ITEMS, 1))
            assert page.matched == len(page.items)
            seen |= generations
    assert writer.returncode == 0
    assert f"g{GENERATIONS - 1:02}" in seen
