"""Steps of a sync on an open transaction: store, discard, count, summarise, swap."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dask_regions.catalog import stac
from dask_regions.catalog.queryables import QUERYABLES
from dask_regions.catalog.tables import INSERT_ITEM, item_row
from dask_regions.errors import NotFoundError, UnavailableError

__all__ = [
    "check_building",
    "discard",
    "first_column",
    "go_live",
    "keep_live",
    "live_generation",
    "merged_item",
    "result_of",
    "store",
    "summarise",
    "verify",
]

# A summary with more values than this is left out of its Collection.
_SUMMARY_VALUES = 100


def first_column(connection: sqlite3.Connection, query: str, *values: Any) -> list[Any]:
    """Return the first column of a query's rows."""
    return [row[0] for row in connection.execute(query, values)]


def live_generation(connection: sqlite3.Connection) -> str | None:
    """Return the name of the generation that searches read, or None before the first sync."""
    return next(iter(first_column(connection, "SELECT name FROM generation WHERE state = 'live'")), None)


def merged_item(
    connection: sqlite3.Connection, generation: str | None, collection: str, item_id: str
) -> dict[str, Any] | None:
    """Return one Item for the copies of all Regions, or None where there is none."""
    copies = first_column(
        connection,
        "SELECT document FROM part WHERE generation = ? AND collection = ? AND id = ? ORDER BY region",
        generation,
        collection,
        item_id,
    )
    return stac.merge([json.loads(copy) for copy in copies]) if copies else None


def result_of(connection: sqlite3.Connection, generation: str) -> dict[str, Any] | None:
    """Return the result of a swap that is done, None for a generation that is being written."""
    row = connection.execute("SELECT state, result FROM generation WHERE name = ?", [generation]).fetchone()
    if row is None:
        raise NotFoundError(
            f"generation {generation} has not begun, or a later sync has replaced it; start a new one"
        )
    if row[0] != "building" and row[1] is None:
        raise NotFoundError(f"generation {generation} was overtaken by a later sync; start a new one")
    return None if row[1] is None else dict(json.loads(row[1]))


def check_building(connection: sqlite3.Connection, generation: str) -> None:
    """Check that a generation may still be written.

    Raises
    ------
    NotFoundError
        Where it has not begun, is done, or was overtaken by a later sync.
    """
    if result_of(connection, generation) is not None:
        raise NotFoundError(f"generation {generation} is done; start a new sync")


def store(
    connection: sqlite3.Connection, generation: str, region: str, items: Sequence[dict[str, Any]]
) -> None:
    """Store a Region's copies of Items, and what is searched of all Regions' copies together."""
    for item in items:
        key = (generation, item["collection"], item["id"])
        connection.execute(
            "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)",
            (*key, region, json.dumps(item, ensure_ascii=False, separators=(",", ":"))),
        )
        _index(connection, *key)


def _index(connection: sqlite3.Connection, generation: str, collection: str, item_id: str) -> None:
    item = merged_item(connection, generation, collection, item_id)
    if item is None:
        connection.execute(
            'DELETE FROM item WHERE generation = ? AND "collection" = ? AND "id" = ?',
            (generation, collection, item_id),
        )
    else:
        connection.execute(INSERT_ITEM, item_row(generation, item))


def discard(connection: sqlite3.Connection, generation: str, region: str) -> None:
    """Remove what a Region stored before it failed, or what an interrupted swap carried over."""
    keys = connection.execute(
        "SELECT collection, id FROM part WHERE generation = ? AND region = ?", (generation, region)
    ).fetchall()
    connection.execute("DELETE FROM part WHERE generation = ? AND region = ?", (generation, region))
    for collection, item_id in keys:
        _index(connection, generation, collection, item_id)


def _counts(connection: sqlite3.Connection, generation: str | None) -> dict[str, int]:
    return dict(
        connection.execute(
            "SELECT region, count(*) FROM part WHERE generation = ? GROUP BY region ORDER BY region",
            [generation],
        ).fetchall()
    )


def verify(
    connection: sqlite3.Connection,
    generation: str,
    live: str | None,
    synced: set[str],
    counts: Mapping[str, int],
) -> None:
    """Check that what is stored is what was counted, and that `live` has not been replaced.

    Raises
    ------
    UnavailableError
        Where either is not so.
    """
    if live_generation(connection) != live:
        raise UnavailableError(f"another sync was swapped in while {generation} was; swap it again")
    stored = _counts(connection, generation)
    for region in sorted(synced):
        if counts.get(region) != stored.get(region, 0):
            raise UnavailableError(
                f"{region} wrote {counts.get(region)} Items and {stored.get(region, 0)} are stored in "
                f"{generation}; {live or 'nothing'} stays live, run sync_catalog again"
            )


def go_live(
    connection: sqlite3.Connection,
    generation: str,
    live: str | None,
    synced: set[str],
    failed: Mapping[str, str],
    declared: Iterable[str],
) -> dict[str, Any]:
    """Make a generation live, keep the one before it, and note how fresh every declared Region is."""
    result = _result(connection, generation, failed)
    connection.execute(
        "UPDATE generation SET state = CASE WHEN name = ? THEN 'previous' ELSE 'old' END"
        " WHERE name IS NOT ? AND (state <> 'building' OR name < ?)",
        (live, generation, generation),
    )
    connection.execute(
        "UPDATE generation SET state = 'live', result = ? WHERE name = ?", (json.dumps(result), generation)
    )
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    connection.executemany(
        "INSERT OR REPLACE INTO region VALUES (?, ?, NULL)", [(region, now) for region in synced]
    )
    _mark_stale(connection, failed)
    connection.execute(
        "DELETE FROM region WHERE name NOT IN (SELECT value FROM json_each(?))", [json.dumps(list(declared))]
    )
    return result


def keep_live(
    connection: sqlite3.Connection, generation: str, live: str | None, failed: Mapping[str, str]
) -> dict[str, Any]:
    """Give a generation up whose Regions all failed."""
    result = _result(connection, live, failed)
    connection.execute(
        "UPDATE generation SET state = 'failed', result = ? WHERE name = ?", (json.dumps(result), generation)
    )
    _mark_stale(connection, failed)
    return result


def _result(
    connection: sqlite3.Connection, generation: str | None, failed: Mapping[str, str]
) -> dict[str, Any]:
    (items,) = connection.execute("SELECT count(*) FROM item WHERE generation = ?", [generation]).fetchone()
    return {
        "generation": generation,
        "items": items,
        "regions": _counts(connection, generation),
        "failed": dict(failed),
    }


def _mark_stale(connection: sqlite3.Connection, failed: Mapping[str, str]) -> None:
    connection.executemany(
        "INSERT INTO region VALUES (?, NULL, ?) ON CONFLICT (name) DO UPDATE SET error = excluded.error",
        list(failed.items()),
    )


def summarise(connection: sqlite3.Connection, generation: str) -> None:
    """Store what each Collection holds, so that no request has to count it."""
    connection.execute("DELETE FROM collection WHERE generation = ?", [generation])
    rows = connection.execute(
        "SELECT collection, count(*), min(CASE WHEN west <= east THEN west ELSE -180.0 END), min(south),"
        " max(CASE WHEN west <= east THEN east ELSE 180.0 END), max(north), min(began), max(ended)"
        " FROM item WHERE generation = ? GROUP BY collection",
        [generation],
    ).fetchall()
    for collection, items, west, south, east, north, began, ended in rows:
        document = {
            "id": collection,
            "items": items,
            "bbox": None if south is None else [west, south, east, north],
            "interval": [began.replace(".000000Z", "Z"), ended.replace(".000000Z", "Z")],
            "summaries": _summaries(connection, generation, collection),
        }
        connection.execute(
            "INSERT INTO collection VALUES (?, ?, ?)", (generation, collection, json.dumps(document))
        )


def _summaries(connection: sqlite3.Connection, generation: str, collection: str) -> dict[str, list[str]]:
    summaries = {}
    for queryable in QUERYABLES.values():
        if queryable.kind == "timestamp" or queryable.name in ("id", "collection", "title"):
            continue
        array = queryable.kind == "strings"
        source = f"item, json_each(item.{queryable.column})" if array else "item"
        value = "value" if array else queryable.column
        values = first_column(
            connection,
            f"SELECT DISTINCT {value} FROM {source} WHERE generation = ? AND collection = ?"  # noqa: S608
            f" AND {value} IS NOT NULL LIMIT ?",
            generation,
            collection,
            _SUMMARY_VALUES + 1,
        )
        if 0 < len(values) <= _SUMMARY_VALUES:
            summaries[queryable.name] = sorted(values)
    return summaries
