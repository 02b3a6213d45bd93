"""The files of the embedded store: which there are, who waits for whom, and what is said of broken ones."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import RegionOutcome
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.errors import ConfigurationError, NotFoundError, RequestError, UnavailableError
from testing.catalog.generations import ids, make_item, put, sync, write

WEST, EAST = "us-west-2", "us-east-1"
DECLARED = {WEST: ["cmip6", "era5"], EAST: ["cmip6", "era5"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def store(path: Path) -> SqliteCatalog:
    return SqliteCatalog(f"sqlite:///{path}")


def generations(path: Path) -> set[str]:
    return {file.stem.removeprefix("catalog-") for file in path.parent.glob("catalog-*")}


def test_reading_a_catalog_that_was_never_written_makes_no_file(store: SqliteCatalog, path: Path) -> None:
    store.search(SearchQuery())
    store.collections()
    store.freshness()
    store.item("cmip6", "a")
    assert not list(path.parent.iterdir())


def test_a_sync_without_changes_leaves_no_file(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    store.begin("g2", [WEST, EAST])
    assert store.write("g2", WEST, "cmip6", []) == 0
    result = store.swap("g2", {WEST: RegionOutcome({"cmip6": 1}), EAST: RegionOutcome()}, DECLARED)
    assert (result["generation"], result["changed"]) == ("g1", False)
    assert store.swap("g2", {}, DECLARED) == result
    assert generations(path) == {"g1"}


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 101, "a\0b"])
def test_a_generation_that_could_be_another_file_is_refused(store: SqliteCatalog, name: str) -> None:
    with pytest.raises(RequestError, match="generation: "):
        store.begin(name, [WEST])


def test_a_swap_that_is_overtaken_is_refused_and_leaves_nothing_behind(
    store: SqliteCatalog, path: Path
) -> None:
    sync(store, "g0", {WEST: [make_item("w")], EAST: [make_item("e", EAST)]})
    store.begin("g1", [WEST])
    write(store, "g1", WEST, [make_item("late")])
    sync(SqliteCatalog(f"sqlite:///{path}"), "g2", {WEST: [make_item("new")]})
    for refused in (
        lambda: store.swap("g1", {WEST: RegionOutcome({"cmip6": 1})}, DECLARED),
        lambda: store.write("g1", WEST, "cmip6", put([make_item("later")])),
    ):
        with pytest.raises(NotFoundError, match="a later sync has replaced it"):
            refused()
    assert ids(store) == ["e", "new"]
    assert generations(path) == {"g0", "g2"}


def test_a_sync_that_was_given_up_is_cleared_away_by_the_next(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g0", {WEST: [make_item("w")]})
    store.begin("g1", [WEST])
    write(store, "g1", WEST, [make_item("lost")])
    assert generations(path) == {"g0", "g1"}
    sync(store, "g2", {WEST: [make_item("w")]})
    assert ids(store) == ["w"]
    sync(store, "g3", {WEST: [make_item("x")]})
    assert "g1" not in generations(path)


def test_only_the_live_and_the_previous_generation_are_kept(store: SqliteCatalog, path: Path) -> None:
    for number in range(1, 5):
        sync(store, f"g{number}", {WEST: [make_item(f"a{number}")]})
    assert generations(path) == {"g3", "g4"}
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "catalog-g3.sqlite",
        "catalog-g4.sqlite",
        "catalog.sqlite",
        "catalog.sqlite.lock",
    ]


def test_a_search_is_not_kept_waiting_by_a_writer(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("old")]})
    store.begin("g2", [WEST])
    write(store, "g2", WEST, [make_item("new")])
    files = [file for file in path.parent.iterdir() if file.name != path.name]
    writers = [sqlite3.connect(file, isolation_level=None) for file in files]
    try:
        for writer in writers:
            writer.execute("BEGIN EXCLUSIVE")
        fresh = SqliteCatalog(f"sqlite:///{path}")
        assert ids(fresh) == ids(store) == ["old"]
        assert [known.item_id for known in fresh.known(WEST, "cmip6")] == ["old"]
        assert fresh.freshness().keys() == {WEST}
    finally:
        for writer in writers:
            writer.close()


def test_a_file_that_is_no_catalog_is_reported(store: SqliteCatalog, path: Path) -> None:
    path.write_text("this is not SQLite" * 100)
    with pytest.raises(UnavailableError, match=path.name):
        store.search(SearchQuery())


def test_a_catalog_of_another_version_is_reported(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    connection = sqlite3.connect(path.with_name("catalog-g1.sqlite"))
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    for use in (
        lambda: store.search(SearchQuery()),
        lambda: list(store.known(WEST, "cmip6")),
        lambda: store.begin("g2", [WEST]),
    ):
        with pytest.raises(UnavailableError, match=r"another version.* delete the file and run"):
            use()


def test_a_catalog_in_one_sqlite_file_is_reported(store: SqliteCatalog, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE generation (name)")
    connection.close()
    for use in (lambda: store.search(SearchQuery()), lambda: store.begin("g1", [WEST])):
        with pytest.raises(UnavailableError, match=r"catalog.sqlite was written by another version"):
            use()


def test_a_damaged_generation_is_reported(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    path.with_name("catalog-g1.sqlite").write_bytes(b"this is not SQLite" * 1000)
    with pytest.raises(UnavailableError, match="catalog-g1"):
        SqliteCatalog(f"sqlite:///{path}").search(SearchQuery())


def test_a_generation_whose_file_is_gone_is_reported(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    path.with_name("catalog-g1.sqlite").unlink()
    with pytest.raises(UnavailableError, match="sync_catalog"):
        SqliteCatalog(f"sqlite:///{path}").search(SearchQuery())


@pytest.mark.parametrize("url", ["", "sqlite:///", "postgres://x", "/mnt/catalog.sqlite"])
def test_a_url_that_is_not_sqlite_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:////mnt/catalog"):
        SqliteCatalog(url)
