"""A catalog of Items of every kind, for what searches select."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_regions.catalog.sqlite import SqliteCatalog
from testing.catalog.generations import sync
from testing.catalog.random_searches import ITEMS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SqliteCatalog:
    path: Path = tmp_path_factory.mktemp("catalog") / "catalog.sqlite"
    store = SqliteCatalog(f"sqlite:///{path}")
    sync(store, "g1", {"us-west-2": ITEMS})
    return store
