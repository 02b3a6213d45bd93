"""The last step of a generation before it goes live: indexes, dictionaries and what Collections hold."""

# Columns are named by the declared queryables, and values are bound.
# ruff: noqa: S608

from __future__ import annotations

import json
import sqlite3
from typing import Any

from dask_regions.catalog.generations import Outcomes, result_of
from dask_regions.catalog.queryables import FACETS
from dask_regions.catalog.sqlite.building import counts
from dask_regions.catalog.sqlite.schema import column, create_indexes
from dask_regions.catalog.timestamps import from_microseconds

__all__ = ["seal"]

# A summary with more values than this is left out of its Collection.
_SUMMARY_VALUES = 100
# Values to compare with a pattern one by one; more are left to SQLite.
_DICTIONARY_VALUES = 2_000
# Between the places of neighbours: as many Items fit in later, until all get new places.
_STEP = 1 << 20


def seal(connection: sqlite3.Connection, generation: str, outcomes: Outcomes) -> None:
    """Finish a generation's file, so that it is not written again, with the result of its swap in it."""
    connection.execute(
        "DELETE FROM geometry WHERE number NOT IN (SELECT geometry FROM item WHERE geometry IS NOT NULL)"
    )
    connection.execute("DELETE FROM touched")
    _place(connection)
    create_indexes(connection)
    _dictionaries(connection)
    _summaries(connection)
    connection.execute("ANALYZE")
    (items,) = connection.execute("SELECT count(*) FROM item").fetchone()
    result = result_of(generation, items, counts(connection), outcomes, changed=True)
    connection.execute("UPDATE state SET sealed = 1, result = ?", (json.dumps(result),))


def _place(connection: sqlite3.Connection) -> None:
    """Give new Items a place: a number in the order of Collection and id, between their neighbours'."""
    new: list[tuple[int, int]] = []
    run: list[int] = []
    previous = 0
    rows = connection.execute('SELECT number, place FROM item ORDER BY "collection", "id"')
    for number, place in rows:
        if place is None:
            run.append(number)
            continue
        if run and place - previous <= len(run):
            rows.close()
            _place_all(connection)
            return
        width = (place - previous) / (len(run) + 1)
        new += [(previous + int(width * count), number) for count, number in enumerate(run, 1)]
        run, previous = [], place
    new += [(previous + _STEP * count, number) for count, number in enumerate(run, 1)]
    connection.executemany("UPDATE item SET place = ? WHERE number = ?", new)


def _place_all(connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE item SET place = ordered.place FROM (SELECT number AS ordered_number, ? * row_number() OVER"
        ' (ORDER BY "collection", "id") AS place FROM item) AS ordered WHERE number = ordered_number',
        (_STEP,),
    )


def _dictionaries(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM dictionary")
    for facet in FACETS:
        if facet.kind == "integer":
            continue
        name = column(facet)
        texts = _first(
            connection,
            f"SELECT DISTINCT {name} FROM item WHERE {name} IS NOT NULL LIMIT ?",
            _DICTIONARY_VALUES + 1,
        )
        if len(texts) <= _DICTIONARY_VALUES:
            connection.execute(
                "INSERT INTO dictionary VALUES (?, ?)", (facet.name, json.dumps(texts, ensure_ascii=False))
            )


def _summaries(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM collection")
    rows = connection.execute(
        'SELECT "collection", count(*), min(CASE WHEN west > east THEN -180.0 ELSE west END), min(south),'
        " max(CASE WHEN west > east THEN 180.0 ELSE east END), max(north), min(began), max(ended)"
        ' FROM item GROUP BY "collection"'
    ).fetchall()
    for collection, items, west, south, east, north, began, ended in rows:
        document = {
            "id": collection,
            "items": items,
            "bbox": None if south is None else [west, south, east, north],
            "interval": [from_microseconds(end).replace(".000000Z", "Z") for end in (began, ended)],
            "summaries": _values(connection, collection),
        }
        connection.execute(
            "INSERT INTO collection VALUES (?, ?)", (collection, json.dumps(document, ensure_ascii=False))
        )


def _values(connection: sqlite3.Connection, collection: str) -> dict[str, list[str | int]]:
    summaries = {}
    for facet in FACETS:
        name = column(facet)
        distinct = _first(
            connection,
            f'SELECT DISTINCT {name} FROM item WHERE "collection" = ? AND {name} IS NOT NULL',
            collection,
        )
        values = set(distinct)
        if facet.kind == "strings":
            values = {value for text in distinct for value in json.loads(text)}
        if 0 < len(values) <= _SUMMARY_VALUES:
            summaries[facet.name] = sorted(values)
    return summaries


def _first(connection: sqlite3.Connection, query: str, *values: Any) -> list[Any]:
    return [row[0] for row in connection.execute(query, values)]
