"""Changes of a generation that readers do not see yet, on an open transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dask_regions.catalog import generations, stac
from dask_regions.catalog.changes import Put, Remove
from dask_regions.catalog.generations import Outcomes, SwapResult, holders, unsynced
from dask_regions.catalog.indexing import Indexed, indexed
from dask_regions.catalog.sqlite.schema import item_row, upsert_item
from dask_regions.errors import RequestError, UnavailableError

__all__ = [
    "apply", "changed", "counts", "is_sealed", "known_rows", "remove_undeclared", "restore",
    "sealed_result", "undeclared", "verify",
]  # fmt: skip


def apply(
    connection: sqlite3.Connection, region: str, collection: str, changes: Iterable[Put | Remove]
) -> int:
    """Apply changes of a Region's sources; return how many.

    Raises
    ------
    RequestError
        Naming the Item that is wrong.
    """
    number, altered = 0, set[str]()
    for change in changes:
        number += 1
        key = (region, collection, change.source)
        altered |= _forget(connection, key)
        if isinstance(change, Put):
            item_id = None if change.item is None else _store_copy(connection, key, change.item)
            connection.execute(
                "INSERT INTO source VALUES (?, ?, ?, ?, ?, ?)",
                (*key, change.fingerprint, item_id, change.reason),
            )
            altered |= {item_id} if item_id is not None else set()
        connection.execute("INSERT OR IGNORE INTO touched VALUES (?, ?, ?)", key)
    for item_id in sorted(altered):
        _index(connection, collection, item_id)
    return number


def _forget(connection: sqlite3.Connection, key: tuple[str, str, str]) -> set[str]:
    gone = connection.execute(
        "DELETE FROM source WHERE region = ? AND collection = ? AND source = ? RETURNING item_id", key
    ).fetchall()
    ids = {item_id for (item_id,) in gone if item_id is not None}
    region, collection, source = key
    for item_id in ids:
        connection.execute(
            "DELETE FROM copy WHERE collection = ? AND id = ? AND region = ? AND source = ?",
            (collection, item_id, region, source),
        )
    return ids


def _store_copy(connection: sqlite3.Connection, key: tuple[str, str, str], item: Mapping[str, Any]) -> str:
    region, collection, source = key
    item_id = item["id"]
    if not isinstance(item_id, str) or item.get("collection") != collection:
        raise RequestError(
            f"Item {item_id}", f"is of the Collection {item.get('collection')}, not of {collection}"
        )
    try:
        document = json.dumps(item, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        connection.execute(
            "INSERT INTO copy (collection, id, region, source, document) VALUES (?, ?, ?, ?, ?)",
            (collection, item_id, region, source, document),
        )
    except ValueError as error:
        raise RequestError(f"Item {item_id}", f"cannot be written as JSON: {error}") from error
    return item_id


def _index(connection: sqlite3.Connection, collection: str, item_id: str) -> None:
    """Bring what is searched of an Item up to its copies."""
    copies = connection.execute(
        "SELECT document FROM copy WHERE collection = ? AND id = ? ORDER BY region, source",
        (collection, item_id),
    ).fetchall()
    if copies:
        items = [json.loads(document) for (document,) in copies]
        entry = indexed(stac.merge(items) if len(items) > 1 else items[0])
        number = upsert_item(connection, item_row(entry, _geometry(connection, entry)))
        connection.execute(
            "INSERT OR REPLACE INTO words (rowid, text) VALUES (?, ?)", (number, " ".join(entry.words))
        )
        return
    gone = connection.execute(
        'DELETE FROM item WHERE "collection" = ? AND "id" = ? RETURNING number', (collection, item_id)
    ).fetchall()
    connection.executemany("DELETE FROM words WHERE rowid = ?", gone)


def _geometry(connection: sqlite3.Connection, entry: Indexed) -> int | None:
    if entry.geometry_digest is None:
        return None
    known = "SELECT number FROM geometry WHERE digest = ?"
    row = connection.execute(known, (entry.geometry_digest,)).fetchone()
    if row is None:
        connection.execute(
            "INSERT INTO geometry (digest, document) VALUES (?, ?)",
            (entry.geometry_digest, json.dumps(entry.geometry)),
        )
        row = connection.execute(known, (entry.geometry_digest,)).fetchone()
    return int(row[0])


def restore(connection: sqlite3.Connection, live: sqlite3.Connection | None, outcomes: Outcomes) -> None:
    """Give Regions whose sync did not succeed what they have in the live generation."""
    regions = [region for (region,) in connection.execute("SELECT DISTINCT region FROM touched")]
    for region in unsynced(regions, outcomes):
        touched = connection.execute(
            "SELECT region, collection, source FROM touched WHERE region = ?", (region,)
        ).fetchall()
        for key in touched:
            apply(connection, key[0], key[1], [_as_it_was(live, key)])
        connection.execute("DELETE FROM touched WHERE region = ?", (region,))


def _as_it_was(live: sqlite3.Connection | None, key: tuple[str, str, str]) -> Put | Remove:
    row = (
        live
        and live.execute(
            "SELECT fingerprint, reason, document FROM source LEFT JOIN copy"
            " ON copy.collection = source.collection AND copy.id = item_id AND copy.region = source.region"
            " AND copy.source = source.source"
            " WHERE source.region = ? AND source.collection = ? AND source.source = ?",
            key,
        ).fetchone()
    )
    if not row:
        return Remove(key[2])
    fingerprint, reason, document = row
    return Put(key[2], fingerprint, None if document is None else json.loads(document), reason)


def undeclared(
    connection: sqlite3.Connection, declared: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:
    """Return the Regions and Collections that have sources and are no longer declared."""
    pairs = connection.execute("SELECT DISTINCT region, collection FROM source ORDER BY 1, 2").fetchall()
    return [
        (region, collection) for region, collection in pairs if region not in holders(collection, declared)
    ]


def remove_undeclared(connection: sqlite3.Connection, declared: Mapping[str, Sequence[str]]) -> None:
    """Remove what :func:`undeclared` returns."""
    for region, collection in undeclared(connection, declared):
        sources = connection.execute(
            "SELECT source FROM source WHERE region = ? AND collection = ?", (region, collection)
        ).fetchall()
        apply(connection, region, collection, [Remove(source) for (source,) in sources])


def changed(connection: sqlite3.Connection) -> bool:
    """Return whether a source differs from the generation this one is based on."""
    return connection.execute("SELECT 1 FROM touched LIMIT 1").fetchone() is not None


def is_sealed(connection: sqlite3.Connection) -> bool:
    """Return whether a generation is done, and can only be made live."""
    return bool(connection.execute("SELECT sealed FROM state").fetchone()[0])


def sealed_result(connection: sqlite3.Connection) -> SwapResult:
    """Return the result of the swap of a generation that is sealed."""
    result: SwapResult = json.loads(connection.execute("SELECT result FROM state").fetchone()[0])
    return result


def counts(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Return the number of Items per Region and Collection."""
    rows = connection.execute(
        "SELECT region, collection, count(DISTINCT id) FROM copy GROUP BY region, collection ORDER BY 1, 2"
    )
    stored: dict[str, dict[str, int]] = {}
    for region, collection, items in rows:
        stored.setdefault(region, {})[collection] = items
    return stored


def verify(connection: sqlite3.Connection, generation: str, outcomes: Outcomes) -> None:
    """Check that what is stored is what was counted, and that all of it can be searched.

    Raises
    ------
    UnavailableError
        Where it is not.
    """
    generations.verify(generation, outcomes, counts(connection))
    (items,) = connection.execute("SELECT count(*) FROM item").fetchone()
    (copied,) = connection.execute(
        "SELECT count(*) FROM (SELECT DISTINCT collection, id FROM copy)"
    ).fetchone()
    if items != copied:
        raise UnavailableError(
            f"{items} of {copied} Items can be searched in {generation}; run sync_catalog again"
        )


def known_rows(
    connection: sqlite3.Connection, region: str, collection: str, prefix: str
) -> Iterator[tuple[str, str, str | None, str | None]]:
    """Yield source, fingerprint, Item and reason of a Region's sources that start with a prefix."""
    rows = connection.execute(
        "SELECT source, fingerprint, item_id, reason FROM source"
        " WHERE region = ? AND collection = ? AND source >= ? ORDER BY source",
        (region, collection, prefix),
    )
    for row in rows:
        if not row[0].startswith(prefix):
            return
        yield row
