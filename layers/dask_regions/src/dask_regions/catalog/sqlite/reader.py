"""Reads one generation, which does not change: what was once found out about it is kept."""

# Columns are named by the declared queryables, and values are bound.
# ruff: noqa: S608

from __future__ import annotations

import json
import math
import sqlite3
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from itertools import count, groupby
from operator import itemgetter
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import Any

import orjson

from dask_regions.catalog import stac
from dask_regions.catalog.answers import Bucket, Page
from dask_regions.catalog.asking import paging
from dask_regions.catalog.asking.deadline import SEARCH_SECONDS, too_slow
from dask_regions.catalog.asking.query import Order, SearchQuery
from dask_regions.catalog.expression import SpatialOperator
from dask_regions.catalog.geometry import Geometries
from dask_regions.catalog.queryables import QUERYABLES
from dask_regions.catalog.sqlite.files import unusable
from dask_regions.catalog.sqlite.order import SortKey, ranges, sort_keys
from dask_regions.catalog.sqlite.schema import column, from_sql, open_reader, to_sql_value
from dask_regions.catalog.sqlite.where import Sql, conjunction, where
from dask_regions.errors import UnavailableError

__all__ = ["Reader"]

# Answers that are kept: a count of many Items takes longer than finding a page of them.
_MAX_ANSWERS = 1000
# Free texts whose Items are kept: 10 bytes each.
_MAX_FREE_TEXTS = 30
# Items with a free text, from which on they are looked for among all in order.
_MAX_ITEMS_TO_LIST_FIRST = 2_000
# SQLite's machine looks at the clock after so many steps: about every millisecond.
_STEPS_BETWEEN_LOOKS = 100_000
# The plus sign keeps SQLite from starting with them and sorting.
_IN_ORDER = "+number IN"


class _StoppedError(UnavailableError):
    """A search took too long."""


class _Deadline:
    """Apart from the reader, which its connection would keep alive."""

    def __init__(self) -> None:
        self.at = math.inf

    def passed(self) -> bool:
        return monotonic() > self.at


class Reader:
    """A generation's file, open; several threads take turns.

    Parameters
    ----------
    path
        Of the file; raises FileNotFoundError where it is gone.
    generation
        Its name, for tokens.
    """

    def __init__(self, path: Path, generation: str) -> None:
        self._path, self._generation = path, generation
        self._connection = open_reader(path)
        self._lock = RLock()
        self._deadline = _Deadline()
        self._connection.set_progress_handler(self._deadline.passed, _STEPS_BETWEEN_LOOKS)
        self._listed: dict[str, tuple[str, int]] = {}
        self._names = count()
        self._answers: OrderedDict[bytes, list[Any]] = OrderedDict()
        weakref.finalize(self, self._connection.close)

    def search(self, query: SearchQuery, after: paging.After | None) -> Page:
        """Return one page of the Items that a query asks for."""
        with self._turn(query):  # all the while: another search may drop the list of Items with a free text
            condition = where(query.condition, self)
            matched = self._count(condition)
            numbers = self._numbers(query, condition, after) if matched else []
        items = self._items(numbers[: query.limit])
        more = len(items) < len(numbers)
        return Page(items, self._token(query, numbers[len(items) - 1]) if more else None, matched)

    @contextmanager
    def _turn(self, query: SearchQuery) -> Iterator[None]:
        with self._lock:
            self._deadline.at = monotonic() + SEARCH_SECONDS
            try:
                yield
            except _StoppedError as error:
                raise too_slow(query, SEARCH_SECONDS) from error
            finally:
                self._deadline.at = math.inf

    def _numbers(self, query: SearchQuery, condition: Sql, after: paging.After | None) -> list[int]:
        """Return the numbers of the Items of a page, and of one more where there is one."""
        keys = sort_keys(query.order)
        position = None if after is None else self._position(query.order, keys, after)
        numbers: list[int] = []
        for part, order in ranges(keys, position):
            text, values = conjunction([condition, part])
            statement = f"SELECT number FROM item WHERE {text} ORDER BY {order} LIMIT ?"
            rows = self._rows(statement, (*values, query.limit + 1 - len(numbers)))
            numbers += [number for (number,) in rows]
            if len(numbers) > query.limit:
                break
        return numbers

    def _count(self, condition: Sql) -> int:
        # To count Items, starting with those that have a free text is always best.
        text = condition.text.replace(_IN_ORDER, "number IN")
        return int(self._kept(Sql(f"SELECT count(*) FROM item WHERE {text}", condition.values))[0][0])

    def _token(self, query: SearchQuery, number: int) -> str:
        names = ", ".join(column(key.queryable) for key in query.order)
        (row,) = self._rows(f"SELECT {names} FROM item WHERE number = ?", (number,))
        values = (from_sql(key.queryable, value) for key, value in zip(query.order, row, strict=True))
        return paging.encode(query, paging.After(self._generation, tuple(values)))

    def _position(self, order: Sequence[Order], keys: Sequence[SortKey], after: paging.After) -> list[Any]:
        """Return the sort keys' values of the Item that a page ended with."""
        pairs = zip(order, after.values, strict=True)
        values = [to_sql_value(key.queryable, value) for key, value in pairs]
        if len(keys) == len(order):
            return values
        # Also where a made-up token names no Item: then what comes after where it would be.
        rows = self._rows(
            'SELECT place FROM item WHERE ("collection", "id") <= (?, ?)'
            ' ORDER BY "collection" DESC, "id" DESC LIMIT 1',
            values[-2:],
        )
        return [*values[:-2], rows[0][0] if rows else 0]

    def item(self, collection: str, item_id: str) -> dict[str, Any] | None:
        """Return one Item, or None where there is none of this Collection and id."""
        copies = self._rows(
            "SELECT document FROM copy WHERE collection = ? AND id = ? ORDER BY region, source",
            (collection, item_id),
        )
        items = [orjson.loads(document) for (document,) in copies]
        return stac.merge(items) if items else None

    def aggregate(self, query: SearchQuery, names: Sequence[str]) -> tuple[int, dict[str, list[Bucket]]]:
        """Return how many Items match, and how often the values of queryables occur among them."""
        with self._turn(query):
            condition = where(query.condition, self)
            return self._count(condition), {name: self._buckets(name, condition) for name in names}

    def _buckets(self, name: str, condition: Sql) -> list[Bucket]:
        queryable = QUERYABLES[name]
        named = column(queryable)
        rows = self._kept(
            Sql(
                f"SELECT {named}, count(*) FROM item WHERE {condition.text} AND {named} IS NOT NULL"
                f" GROUP BY {named}",
                condition.values,
            )
        )
        frequencies: dict[str | int, int] = {}
        for value, frequency in rows:
            for key in (
                set(json.loads(value)) if queryable.kind == "strings" else (from_sql(queryable, value),)
            ):
                frequencies[key] = frequencies.get(key, 0) + frequency
        buckets = [Bucket(key, frequency) for key, frequency in frequencies.items()]
        return sorted(buckets, key=lambda bucket: (-bucket.frequency, bucket.key))

    @cached_property
    def collections(self) -> list[dict[str, Any]]:
        """What is held per Collection."""
        return [
            json.loads(document) for (document,) in self._rows("SELECT document FROM collection ORDER BY id")
        ]

    def texts(self, name: str) -> Sequence[str] | None:
        """Return the distinct values of a queryable, as its column has them; None where they are many."""
        return self._dictionary.get(name)

    def with_words(self, phrases: Sequence[Sequence[str]]) -> str:
        """Return the condition that an Item holds any of these phrases.

        Their Items are listed in a temporary table, for all pages: listing them takes longer than a page.
        """
        # Letters and digits only, but quoted: AND, OR and NOT are words too.
        match = " OR ".join(f'"{" ".join(phrase)}"' for phrase in phrases)
        name, items = self._listed.pop(match) if match in self._listed else self._list(match)
        self._listed[match] = name, items
        if len(self._listed) > _MAX_FREE_TEXTS:
            oldest, _ = self._listed.pop(next(iter(self._listed)))
            self._rows(f"DROP TABLE temp.{oldest}")
        test = _IN_ORDER if items > _MAX_ITEMS_TO_LIST_FIRST else "number IN"
        return f"{test} (SELECT number FROM temp.{name})"

    def _list(self, match: str) -> tuple[str, int]:
        name = f"found_{next(self._names)}"
        self._rows(f"CREATE TEMP TABLE {name} (number INTEGER PRIMARY KEY)")
        self._rows(f"INSERT INTO temp.{name} SELECT rowid FROM words WHERE words MATCH ?", (match,))
        ((items,),) = self._rows(f"SELECT count(*) FROM temp.{name}")
        return name, int(items)

    def geometries(self, operator: SpatialOperator, geometry: Mapping[str, Any]) -> tuple[Sequence[int], int]:
        """Return the numbers of the geometries that fit, and how many there are in all."""
        distinct, total = self._geometries
        return [int(number) for number in distinct.select(operator, geometry)], total

    @cached_property
    def _dictionary(self) -> dict[str, list[str]]:
        return {name: json.loads(texts) for name, texts in self._rows("SELECT name, texts FROM dictionary")}

    @cached_property
    def _geometries(self) -> tuple[Geometries, int]:
        rows = self._rows("SELECT number, document FROM geometry ORDER BY number")
        return Geometries({str(number): json.loads(document) for number, document in rows}), len(rows)

    def _items(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Return Items in the order of their numbers, as many of the first as fit one answer."""
        rows = self._rows(
            "SELECT item.number, document FROM item, copy"
            " WHERE item.number IN (SELECT value FROM json_each(?))"
            ' AND copy.collection = item."collection" AND copy.id = item."id"'
            " ORDER BY item.number, region, source",
            (json.dumps(numbers),),
        )
        copies = {
            number: [orjson.loads(document) for _, document in group]
            for number, group in groupby(rows, key=itemgetter(0))
        }
        items = [
            stac.merge(copies[number]) if len(copies[number]) > 1 else copies[number][0] for number in numbers
        ]
        return paging.cut(items, sum(len(document) for _, document in rows))

    def _kept(self, statement: Sql) -> list[Any]:
        # Its values may be long lists, from the caller: they are not kept.
        key = sha256(repr(statement).encode()).digest()
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            else:
                self._answers[key] = self._rows(*statement)
                if len(self._answers) > _MAX_ANSWERS:
                    self._answers.popitem(last=False)
            return self._answers[key]

    def _rows(self, text: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(text, values).fetchall()
        except sqlite3.Error as error:
            # Errors that are Python's own have no code.
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise _StoppedError(f"the catalog took longer than {SEARCH_SECONDS} s; try again") from error
            raise unusable(self._path, error) from error
