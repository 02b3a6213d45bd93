"""The embedded catalog store: one SQLite file, read and written by many processes.

Every sync writes a new generation beside the live one; :meth:`SqliteCatalog.swap` makes it live in one
transaction. Readers look up the live generation and read it in one transaction, so that they see one
generation or the next, never a mixture.

Each Region's own copy of an Item is kept (table ``part``), so that the copies of a Region whose sync
failed can be carried over; ``item`` holds what is searched. The journal is SQLite's default and not
WAL, which needs memory shared by all processes and thus cannot live on a network file system.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dask_regions.catalog import paging
from dask_regions.catalog.conditions import conditions
from dask_regions.catalog.generations import (
    check_building,
    discard,
    first_column,
    go_live,
    keep_live,
    live_generation,
    merged_item,
    result_of,
    store,
    summarise,
    verify,
)
from dask_regions.catalog.query import SearchQuery
from dask_regions.catalog.tables import create, is_current, transaction
from dask_regions.errors import ConfigurationError, RequestError

__all__ = ["Page", "SqliteCatalog"]

_PREFIX = "sqlite:///"
# Items per transaction of a writer: readers wait for no more than this is being stored.
_BATCH = 500
# Lambda answers with at most 6,291,556 bytes, in which a page is a JSON string: escaped.
_PAGE_BYTES = 5_500_000
_LINK_BYTES = 1_500


@dataclass(frozen=True)
class Page:
    """One page of a search.

    Attributes
    ----------
    items
        STAC Items as they were written, without the API's links.
    token
        Of the next page; None on the last.
    matched
        Number of Items on all pages.
    """

    items: list[dict[str, Any]]
    token: str | None
    matched: int


class SqliteCatalog:
    """Catalog store in one SQLite file.

    Holds no connection between calls: instances may be used by several threads, and made before
    the file exists, which then reads as an empty catalog.

    Parameters
    ----------
    url
        ``sqlite:///`` and a path; with four slashes the path is absolute.

    Examples
    --------
    >>> SqliteCatalog("sqlite:////no/such/file.sqlite").search(SearchQuery()).items
    []
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(_PREFIX) or url == _PREFIX:
            raise ConfigurationError(
                f"CATALOG_URL={url!r} is not supported; write it like sqlite:////mnt/catalog/catalog.sqlite"
            )
        self._path = Path(url.removeprefix(_PREFIX))

    def begin(self, generation: str, regions: Sequence[str]) -> None:
        """Start a generation that these Regions will be synced into; a repetition changes nothing."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with transaction(self._path, write=True) as connection:
            create(connection)
            is_current(connection, self._path)
            connection.execute("INSERT OR IGNORE INTO generation VALUES (?, 'building', NULL)", [generation])
            connection.executemany(
                "INSERT OR IGNORE INTO planned VALUES (?, ?)", [(generation, region) for region in regions]
            )

    def write(self, generation: str, region: str, items: Iterable[dict[str, Any]]) -> int:
        """Store a Region's Items in a generation, replacing its own copies of the same Items.

        Returns
        -------
        int
            Number of Items, each counted once.

        Raises
        ------
        NotFoundError
            Where the generation has not begun, or is live already.
        RequestError
            Where an Item is wrong; Items before it may have been stored.
        """
        seen: set[tuple[str, str]] = set()
        for batch in _batches(items):
            with transaction(self._path, write=True) as connection:
                check_building(connection, generation)
                store(connection, generation, region, batch)
            seen.update((item["collection"], item["id"]) for item in batch)
        return len(seen)

    def swap(
        self,
        generation: str,
        failed: Mapping[str, str],
        counts: Mapping[str, int],
        declared: Mapping[str, Sequence[str]],
    ) -> dict[str, Any]:
        """Make a generation live; a repetition answers as before.

        Regions that failed, and Regions that this generation did not sync, keep the Items that they
        have in the live generation, of the Collections that they are still declared to hold. Where
        every Region failed, the live generation stays. The previous generation is kept, so that
        searches under way can page on; older ones are deleted.

        Parameters
        ----------
        failed, counts
            Region to what went wrong, and to the number of Items that :meth:`write` stored for it.
        declared
            Region to the Collections it holds, of every Region there is.

        Returns
        -------
        dict
            ``generation`` (the live one), ``items`` (in all), ``regions`` (Region to count) and
            ``failed`` (as given).

        Raises
        ------
        NotFoundError
            Where the generation has not begun, or was overtaken by a later sync.
        UnavailableError
            Where the counts do not agree with what is stored, or another sync was swapped in
            meanwhile; the live generation stays.
        """
        with transaction(self._path, write=True) as connection:
            done = result_of(connection, generation)
            if done is not None:
                return done
            live = live_generation(connection)
            planned = first_column(connection, "SELECT region FROM planned WHERE generation = ?", generation)
            synced = set(planned) - failed.keys()
            if planned and not synced:
                return keep_live(connection, generation, live, failed)
        self._carry_over(live, generation, synced, declared)
        with transaction(self._path, write=True) as connection:
            check_building(connection, generation)
            summarise(connection, generation)
        with transaction(self._path, write=True) as connection:
            verify(connection, generation, live, synced, counts)
            result = go_live(connection, generation, live, synced, failed, declared)
        self._delete_old()
        return result

    def _carry_over(
        self, live: str | None, generation: str, synced: set[str], declared: Mapping[str, Sequence[str]]
    ) -> None:
        """Give every Region that was not synced the declared Items it has live, and no others."""
        with transaction(self._path, write=True) as connection:
            present = first_column(
                connection, "SELECT DISTINCT region FROM part WHERE generation IN (?, ?)", live, generation
            )
        for region in sorted(set(present) - synced):
            kept = json.dumps(list(declared.get(region, ())))
            with transaction(self._path, write=True) as connection:
                check_building(connection, generation)
                discard(connection, generation, region)
            position = 0
            while True:
                with transaction(self._path, write=True) as connection:
                    check_building(connection, generation)
                    rows = connection.execute(
                        "SELECT rowid, document FROM part"
                        " WHERE generation = ? AND region = ? AND rowid > ?"
                        " AND collection IN (SELECT value FROM json_each(?)) ORDER BY rowid LIMIT ?",
                        (live, region, position, kept, _BATCH),
                    ).fetchall()
                    store(connection, generation, region, [json.loads(row[1]) for row in rows])
                if not rows:
                    break
                position = rows[-1][0]

    def _delete_old(self) -> None:
        for table in ("part", "item", "collection", "planned"):
            deleted = 1
            while deleted:
                with transaction(self._path, write=True) as connection:
                    deleted = connection.execute(
                        f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE generation"  # noqa: S608
                        " IN (SELECT name FROM generation WHERE state IN ('old', 'failed')) LIMIT ?)",
                        [_BATCH * 10],
                    ).rowcount
        with transaction(self._path, write=True) as connection:
            connection.execute("DELETE FROM generation WHERE state = 'old'")

    def search(self, query: SearchQuery) -> Page:
        """Return one page of the Items that a query asks for.

        A page ends early where its JSON would outgrow a Lambda function's answer.

        Raises
        ------
        RequestError
            Naming ``token``, where the page it asks for is gone.
        """
        columns = paging.order(query)
        position = paging.decode(query, columns)
        with self._reader() as connection:
            if connection is None:
                return Page([], None, 0)
            generation = _generation_of(connection, position)
            where = conditions(query)
            source = f"FROM item WHERE generation = ? AND {where.text}"
            bound: tuple[Any, ...] = (generation, *where.values)
            (matched,) = connection.execute(f"SELECT count(*) {source}", bound).fetchone()
            if position is not None:
                after = paging.after(columns, position.values)
                source, bound = f"{source} AND {after.text}", (*bound, *after.values)
            keys = ", ".join(column.expression for column in columns)
            rows = connection.execute(
                f"SELECT collection, id, {keys} {source} ORDER BY {paging.directions(columns)} LIMIT ?",
                (*bound, query.limit + 1),
            ).fetchall()
            items = list(_page(connection, generation, rows[: query.limit]))
        if generation is None or len(items) == len(rows):
            return Page(items, None, matched)
        last = paging.After(generation, rows[len(items) - 1][2:])
        return Page(items, paging.encode(query, last), matched)

    def item(self, collection: str, item_id: str) -> dict[str, Any] | None:
        """Return one Item, or None where there is none of this Collection and id."""
        with self._reader() as connection:
            if connection is None:
                return None
            return merged_item(connection, live_generation(connection), collection, item_id)

    def collections(self) -> list[dict[str, Any]]:
        """Return what is held per Collection.

        Returns
        -------
        list of dict
            Each with ``id``, ``items`` (count), ``bbox`` (4 degrees, or None), ``interval`` (RFC 3339)
            and ``summaries`` (queryable to the values that occur, where they are few).
        """
        with self._reader() as connection:
            if connection is None:
                return []
            query = "SELECT document FROM collection WHERE generation = ? ORDER BY id"
            return [
                json.loads(document)
                for document in first_column(connection, query, live_generation(connection))
            ]

    def freshness(self) -> dict[str, dict[str, Any]]:
        """Return, per Region, how far its Items can be trusted.

        Returns
        -------
        dict
            Region to ``synced`` (RFC 3339 time of the last good sync, or None), ``stale`` (whether
            the last sync failed) and ``error`` (of the last sync, or None).
        """
        with self._reader() as connection:
            if connection is None:
                return {}
            rows = connection.execute("SELECT name, synced, error FROM region ORDER BY name").fetchall()
        return {
            name: {"synced": synced, "stale": error is not None, "error": error}
            for name, synced, error in rows
        }

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a connection in a transaction, or None where there is no catalog yet."""
        if not self._path.exists():
            yield None
            return
        with transaction(self._path, write=False) as connection:
            yield connection if is_current(connection, self._path) else None


def _batches(items: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _generation_of(connection: sqlite3.Connection, position: paging.After | None) -> str | None:
    if position is None:
        return live_generation(connection)
    readable = first_column(connection, "SELECT name FROM generation WHERE state IN ('live', 'previous')")
    if position.generation not in readable:
        raise RequestError("token", "belongs to a catalog that has been renewed since; search again")
    return position.generation


def _page(
    connection: sqlite3.Connection, generation: str | None, rows: Sequence[Sequence[Any]]
) -> Iterator[dict[str, Any]]:
    size = 0
    for number, (collection, item_id, *_) in enumerate(rows):
        item = merged_item(connection, generation, collection, item_id)
        assert item is not None, "the tables part and item are written together"
        size += len(json.dumps(json.dumps(item))) + _LINK_BYTES
        if number and size > _PAGE_BYTES:
            return
        yield item
