"""Tables and indexes of a generation's file, made from the declared queryables."""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from dask_regions.catalog.expression import Scalar
from dask_regions.catalog.indexing import Indexed
from dask_regions.catalog.queryables import BEGAN, ENDED, FACETS, QUERYABLES, Queryable
from dask_regions.catalog.sqlite.files import outdated, unusable
from dask_regions.catalog.timestamps import from_microseconds, microseconds
from dask_regions.words import fold

__all__ = [
    "CASEI", "column", "create", "create_indexes", "from_sql", "item_row", "open_reader",
    "to_sql_value", "upsert_item",
]  # fmt: skip

#: Name of the SQL function that puts a text into lower case, as Python does; NULL stays NULL.
CASEI = "casei"
# Columns that are no property: microseconds since 1970, degrees, and the number of the geometry.
_OWN = ("began", "ended", "west", "south", "east", "north", "geometry")


def column(queryable: Queryable) -> str:
    """Return a queryable's column, quoted; names are declared in the code, never taken from a request."""
    return f'"{queryable.name}"'


_COLUMNS = (*_OWN, *map(column, QUERYABLES.values()))
_TABLES = (
    # One row. A sealed generation is not written again.
    "CREATE TABLE state (sealed INTEGER NOT NULL, result TEXT)",
    # What a Region's sources are, and each one's own copy of its Item.
    "CREATE TABLE source (region TEXT, collection TEXT, source TEXT, fingerprint TEXT NOT NULL, item_id TEXT,"
    " reason TEXT, PRIMARY KEY (region, collection, source)) WITHOUT ROWID",
    "CREATE TABLE copy (number INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL,"
    " region TEXT NOT NULL, source TEXT NOT NULL, document TEXT NOT NULL)",
    "CREATE UNIQUE INDEX copy_key ON copy (collection, id, region, source)",
    # Sources that differ from the generation this one is based on.
    "CREATE TABLE touched (region TEXT, collection TEXT, source TEXT,"
    " PRIMARY KEY (region, collection, source)) WITHOUT ROWID",
    # What is searched of the copies of an Item together.
    f"CREATE TABLE item (number INTEGER PRIMARY KEY, place INTEGER, {', '.join(_COLUMNS)})",
    'CREATE UNIQUE INDEX item_key ON item ("collection", "id")',
    "CREATE TABLE geometry (number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, document TEXT NOT NULL)",
    # Words are parted by blanks; of the rest this tokenizer takes any character for part of a word.
    "CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'ascii', columnsize = 0)",
    "CREATE TABLE collection (id TEXT PRIMARY KEY, document TEXT NOT NULL)",
    "CREATE TABLE dictionary (name TEXT PRIMARY KEY, texts TEXT NOT NULL)",
)
# What is asked for together with other things: in every index, so that rows need not be read to count Items.
_COMBINED = (
    "scenario",
    "variables",
    "cmip6:source_id",
    "cmip6:experiment_id",
    "cmip6:table_id",
    "cmip6:variable_id",
)
_COMMON = ("ended", "geometry", *(column(QUERYABLES[name]) for name in _COMBINED))


def _index(name: str, *columns: str) -> str:
    rest = (common for common in _COMMON if common not in columns)
    return f'CREATE INDEX IF NOT EXISTS "item_{name}" ON item ({", ".join((*columns, *rest))})'


# The order of a search follows what it selects by: nothing is sorted. The place stands for Collection and id,
# which would make each index several times as large.
_ORDER = ("began DESC", "place")
_INDEXES = (
    _index("falling", *_ORDER),
    "CREATE INDEX IF NOT EXISTS item_rising ON item (began, place, ended, geometry)",
    'CREATE INDEX IF NOT EXISTS item_id ON item ("id", "collection")',
    "CREATE INDEX IF NOT EXISTS item_place ON item (place)",
    _index("geometry", "geometry", *_ORDER),
    *(_index(facet.name, column(facet), *_ORDER) for facet in FACETS),
)
_VERSION = (
    zlib.crc32("\n".join((*_TABLES, *_INDEXES)).encode()) >> 1
)  # user_version is a signed 32-bit integer
_UPSERT = (
    f"INSERT INTO item ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
    ' ON CONFLICT ("collection", "id") DO UPDATE SET '
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
    + " RETURNING number"
)


def create(connection: sqlite3.Connection, copied: bool) -> None:
    """Make the tables, or ready a copy of a generation for changes."""
    if copied:
        connection.execute("UPDATE state SET sealed = 0, result = NULL")
        connection.execute("DELETE FROM touched")
        return
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO state VALUES (0, NULL)")
    connection.execute(f"PRAGMA user_version = {_VERSION}")


def create_indexes(connection: sqlite3.Connection) -> None:
    """Make the indexes where there are none: of a new catalog after all its Items, which is faster."""
    for statement in _INDEXES:
        connection.execute(statement)


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file of a generation that will not change again, for any thread.

    Raises
    ------
    FileNotFoundError
        Where it is not there, or no longer.
    UnavailableError
        Where it was made for other queryables, or is damaged.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(closing(sqlite3.connect(uri, uri=True, check_same_thread=False)))
            connection.execute("PRAGMA cache_size = -65536")  # KiB
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.isolation_level = None
            connection.create_function(CASEI, 1, _casei, deterministic=True)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            if not path.exists():
                raise FileNotFoundError(path) from error
            raise unusable(path, error) from error
        if version != _VERSION:
            raise outdated(path)
        stack.pop_all()
    return connection


def item_row(entry: Indexed, geometry: int | None) -> tuple[Any, ...]:
    """Return the values of :func:`upsert_item`."""
    values = [to_sql_value(queryable, entry.values.get(queryable.name)) for queryable in QUERYABLES.values()]
    own = [to_sql_value(end, entry.values[end.name]) for end in (BEGAN, ENDED)]
    return (*own, *(entry.bbox or [None] * 4), geometry, *values)


def upsert_item(connection: sqlite3.Connection, row: tuple[Any, ...]) -> int:
    """Write what is searched of an Item; return its number, which it keeps."""
    (number,) = connection.execute(_UPSERT, row).fetchone()
    return int(number)


def to_sql_value(queryable: Queryable, value: Scalar | list[str] | None) -> Any:
    """Return a value as its column has it: microseconds for timestamps, JSON for arrays."""
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if queryable.kind == "timestamp" and value is not None:
        return microseconds(str(value))
    return value


def from_sql(queryable: Queryable, value: Any) -> Any:
    """Return what :func:`to_sql_value` was given, of anything but an array."""
    return from_microseconds(value) if queryable.kind == "timestamp" and value is not None else value


def _casei(text: str | None) -> str | None:
    return None if text is None else fold(text)
