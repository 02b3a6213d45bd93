"""Tables of the embedded store, made from the declared queryables, and connections to them."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dask_regions.catalog.filter import CASEI
from dask_regions.catalog.queryables import QUERYABLES
from dask_regions.catalog.timestamps import parse_timestamp
from dask_regions.errors import RequestError, UnavailableError

__all__ = ["INSERT_ITEM", "create", "is_current", "item_row", "transaction"]

# Seconds to wait for another process's lock; less than the 30 s that API Gateway waits.
_BUSY_SECONDS = 20.0

_COLUMNS = (
    "generation", "began", "ended", "west", "south", "east", "north",
    *(queryable.column for queryable in QUERYABLES.values()),
)  # fmt: skip
_TABLES = (
    "CREATE TABLE generation (name TEXT PRIMARY KEY, state TEXT NOT NULL, result TEXT)",
    "CREATE TABLE planned (generation TEXT, region TEXT, PRIMARY KEY (generation, region))",
    "CREATE TABLE region (name TEXT PRIMARY KEY, synced TEXT, error TEXT)",
    "CREATE TABLE part (generation TEXT NOT NULL, collection TEXT NOT NULL, id TEXT NOT NULL,"
    " region TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (generation, collection, id, region))",
    "CREATE INDEX part_region ON part (generation, region)",
    f"CREATE TABLE item ({', '.join(_COLUMNS)}, PRIMARY KEY (generation, collection, id))",
    "CREATE INDEX item_order ON item (generation, began DESC, collection, id)",
    "CREATE TABLE collection (generation TEXT, id TEXT, document TEXT, PRIMARY KEY (generation, id))",
)
_VERSION = zlib.crc32("\n".join(_TABLES).encode()) >> 1  # user_version is a signed 32-bit integer

INSERT_ITEM = f"INSERT OR REPLACE INTO item ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


def item_row(generation: str, item: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of :data:`INSERT_ITEM`.

    Raises
    ------
    RequestError
        Naming the Item, where it has neither ``datetime`` nor ``start_datetime`` and
        ``end_datetime``, or a value of the wrong kind.
    """
    properties, label = item["properties"], f"Item {item['id']}"
    began = properties.get("start_datetime") or properties.get("datetime")
    ended = properties.get("end_datetime") or properties.get("datetime")
    if began is None or ended is None:
        raise RequestError(label, "has no datetime; set it, or start_datetime and end_datetime")
    values: list[Any] = [generation, parse_timestamp(began, label), parse_timestamp(ended, label)]
    values += _box(item.get("bbox"))
    for queryable in QUERYABLES.values():
        value = queryable.value(item)
        if value is not None and queryable.kind == "timestamp":
            value = parse_timestamp(value, label)
        elif value is not None and queryable.kind == "strings":
            value = json.dumps(value)
        elif value is not None and not isinstance(value, str):
            raise RequestError(
                label, f"{queryable.name} must be a string, not {value!r}; quote it in datasets.yaml"
            )
        values.append(value)
    return tuple(values)


def _box(bbox: Any) -> list[Any]:
    if not bbox:
        return [None] * 4
    return [*bbox[:2], *bbox[3:5]] if len(bbox) == 6 else list(bbox)


def create(connection: sqlite3.Connection) -> None:
    """Create the tables where there are none."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether there are tables to read.

    Raises
    ------
    UnavailableError
        Where the tables were made for other queryables.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, _VERSION):
        raise UnavailableError(
            f"the catalog {path.name} was written by another version of dask-regions; "
            "delete the file and run the state machine sync_catalog"
        )
    return bool(version)


@contextmanager
def transaction(path: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """Open the file for one transaction.

    A failure rolls back. A reader sees the file as it was at its first statement.

    Raises
    ------
    UnavailableError
        Where the file is missing (for a reader), locked for too long, or damaged.
    """
    mode = "rwc" if write else "rw"  # a reader may have to roll back what a killed writer left
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
        )
        try:
            connection.create_function(CASEI, 1, _casei, deterministic=True)
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise UnavailableError(f"the catalog {path.name} cannot be used now ({error}); try again") from error


def _casei(text: str | None) -> str | None:
    return None if text is None else text.lower()
