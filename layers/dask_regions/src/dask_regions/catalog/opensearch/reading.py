"""Searches: each one round trip, in which OpenSearch also says which generation is live."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from dask_regions.catalog.answers import Bucket, Page
from dask_regions.catalog.asking.deadline import SEARCH_SECONDS, too_slow
from dask_regions.catalog.asking.paging import After, cut, decode, encode, renewed
from dask_regions.catalog.asking.query import Order, SearchQuery
from dask_regions.catalog.expression import Scalar
from dask_regions.catalog.generations import describe
from dask_regions.catalog.geometry import Geometries
from dask_regions.catalog.opensearch.bulk import Documents
from dask_regions.catalog.opensearch.client import Client, OpenSearchError
from dask_regions.catalog.opensearch.control import Control
from dask_regions.catalog.opensearch.documents import Live, Names
from dask_regions.catalog.opensearch.dsl import Query, to_query
from dask_regions.catalog.opensearch.fields import field_of, identifier
from dask_regions.catalog.opensearch.summary import summary_id
from dask_regions.catalog.queryables import QUERYABLES, Kind
from dask_regions.catalog.timestamps import from_microseconds, microseconds
from dask_regions.errors import UnavailableError

__all__ = ["Reading"]

# A catalog that is swapped more often than this during one search is not well.
_ATTEMPTS = 5
_BUCKETS = 10_000
_COUNTS = 1000
_CANCELLED = "task_cancelled_exception"
# What OpenSearch sorts whole numbers by that are not there.
_MISSING = {False: (1 << 63) - 1, True: -(1 << 63)}

_HEADER = {"allow_partial_search_results": False, "cancel_after_time_interval": f"{SEARCH_SECONDS}s"}

#: The header and the body of a search in a request of several.
_Search = tuple[list[str], dict[str, Any]]


class _CancelledError(UnavailableError):
    """OpenSearch has stopped a search that took too long."""


class _Asked(NamedTuple):
    live: Live
    generation: str | None
    answers: list[dict[str, Any]]


class Reading:
    """Reads the live generation, or the one before it."""

    def __init__(self, client: Client, names: Names) -> None:
        self._client, self._names = client, names
        self._live = Live()
        self._geometries: dict[str, Geometries] = {}
        self._counts: OrderedDict[tuple[str, str], int] = OrderedDict()

    def search(self, query: SearchQuery) -> Page:
        """Return one page; see :class:`dask_regions.catalog.engines.Store`."""
        after = decode(query)
        with _stopped_in_time(query):
            asked = self._ask(lambda live: self._page(live, query, after))
        if asked.generation is None:
            if after is not None:
                raise renewed()
            return Page([], None, 0)
        key = (asked.generation, query.fingerprint)
        hits = asked.answers[0]["hits"]["hits"] if asked.answers else []
        if len(asked.answers) > 1:
            self._remember(key, asked.answers[1]["hits"]["total"]["value"])
        matched = self._counts.get(key, 0)
        items = cut([hit["_source"]["item"] for hit in hits[: query.limit]])
        if len(items) == len(hits):
            return Page(items, None, matched)
        last = zip(query.order, hits[len(items) - 1]["sort"], strict=True)
        values = tuple(_value(order, raw) for order, raw in last)
        return Page(items, encode(query, After(asked.generation, values)), matched)

    def item(self, collection: str, item_id: str) -> dict[str, Any] | None:
        """Return one Item, or None."""

        def searches(live: Live) -> tuple[str | None, list[_Search]]:
            indexes = [part.items for name, part in live.collections.items() if name == collection]
            body = {"query": {"ids": {"values": [identifier(collection, item_id)]}}, "size": 1}
            return live.state.live, [(indexes, body)] if indexes else []

        answers = self._ask(searches).answers
        hits = answers[0]["hits"]["hits"] if answers else []
        return hits[0]["_source"]["item"] if hits else None

    def aggregate(self, query: SearchQuery, names: Sequence[str]) -> tuple[int, dict[str, list[Bucket]]]:
        """Return the number of Items, and the values that occur by queryable."""
        aggregations = {
            name: {
                "terms": {
                    "field": field_of(QUERYABLES[name]),
                    "size": _BUCKETS,
                    "order": [{"_count": "desc"}, {"_key": "asc"}],
                }
            }
            for name in names
        }

        def searches(live: Live) -> tuple[str | None, list[_Search]]:
            indexes = _indexes(live, live.state.live, query)
            body = {
                "query": self._condition(live.state.live or "", query),
                "size": 0,
                "track_total_hits": True,
                "aggs": aggregations,
            }
            return live.state.live, [(indexes, body)] if indexes else []

        with _stopped_in_time(query):
            answers = self._ask(searches).answers
        if not answers:
            return 0, {name: [] for name in names}
        aggregated = answers[0].get("aggregations", {})
        buckets = {
            name: [_bucket(QUERYABLES[name].kind, bucket) for bucket in aggregated[name]["buckets"]]
            for name in names
        }
        return answers[0]["hits"]["total"]["value"], buckets

    def collections(self) -> list[dict[str, Any]]:
        """Return what is held by Collection."""

        def searches(live: Live) -> tuple[str | None, list[_Search]]:
            ids = [summary_id(part.items) for part in live.collections.values()]
            body = {"query": {"ids": {"values": ids}}, "size": len(ids)}
            return live.state.live, [([self._names.control], body)] if ids else []

        answers = self._ask(searches).answers
        hits = answers[0]["hits"]["hits"] if answers else []
        summaries = [hit["_source"]["content"] for hit in hits]
        return sorted((part for part in summaries if part["items"]), key=lambda part: str(part["id"]))

    def freshness(self) -> dict[str, dict[str, Any]]:
        """Return per Region how far its Items can be trusted."""
        return describe(self._ask(lambda live: (live.state.live, [])).live.state.freshness)

    def _ask(self, searches: Callable[[Live], tuple[str | None, list[_Search]]]) -> _Asked:
        """Make searches, and return their answers.

        They are made for what was live when we last looked. The same request looks again, and they are
        repeated where that has changed: one round trip, and no answer of a generation that is not live.
        """
        live = self._live
        for _ in range(_ATTEMPTS):
            generation, wanted = searches(live)
            own = {"query": {"ids": {"values": [Control.LIVE]}}}
            lines: list[Mapping[str, Any]] = []
            for indexes, body in [([self._names.control], own), *wanted]:
                lines += [{"index": indexes, **_HEADER}, body]
            first, *answers = self._client.request("POST", ["_msearch"], lines)["responses"]
            before, live = live, _live_of(first)
            self._live = live
            if not live.readable:
                raise UnavailableError(
                    "the catalog was written by another version of dask-regions; "
                    "run the state machine sync_catalog"
                )
            if (live.state.live, live.contents) == (before.state.live, before.contents):
                return _Asked(live, generation, [_checked(answer) for answer in answers])
        raise UnavailableError("the catalog is being renewed all the time; try again")

    def _page(self, live: Live, query: SearchQuery, after: After | None) -> tuple[str | None, list[_Search]]:
        generation = live.state.live if after is None else after.generation
        if generation is None or generation not in live.contents:
            return None, []
        indexes = _indexes(live, generation, query)
        if not indexes:
            return generation, []
        condition = self._condition(generation, query)
        page: dict[str, Any] = {
            "query": condition if after is None else _beyond(condition, query.order[0], after.values[0]),
            "size": query.limit + 1,
            "sort": [_sort(order) for order in query.order],
            # No filter of the source: OpenSearch would parse each document, for half as much time again.
            "track_total_hits": False,
        }
        if after is not None:
            page["search_after"] = [_raw(*pair) for pair in zip(query.order, after.values, strict=True)]
        count = {"query": condition, "size": 0, "track_total_hits": True}
        known = (generation, query.fingerprint) in self._counts
        return generation, [(indexes, page)] if known else [(indexes, page), (indexes, count)]

    def _condition(self, generation: str, query: SearchQuery) -> Query:
        def select(operator: Any, geometry: Mapping[str, Any]) -> Sequence[str]:
            return self._geometries_of(generation).select(operator, geometry)

        return {"bool": {"filter": [to_query(query.condition, select)]}}

    def _geometries_of(self, generation: str) -> Geometries:
        """Return the geometries there are: all of the generation's, and perhaps older ones."""
        geometries = self._geometries.get(generation)
        if geometries is None:
            stored = Documents(self._client).scan(self._names.geometries, {"match_all": {}}, "digest")
            geometries = Geometries({document["digest"]: document["geometry"] for document in stored})
            kept = {name: known for name, known in self._geometries.items() if name in self._live.contents}
            self._geometries = {**kept, generation: geometries}
        return geometries

    def _remember(self, key: tuple[str, str], count: int) -> None:
        self._counts[key] = count
        while len(self._counts) > _COUNTS:
            self._counts.popitem(last=False)


def _live_of(answer: Mapping[str, Any]) -> Live:
    if answer.get("error", {}).get("type") == "index_not_found_exception":
        return Live()
    hits = _checked(answer)["hits"]["hits"]
    return Live.load(hits[0]["_source"]["content"]) if hits else Live()


def _checked(answer: Any) -> dict[str, Any]:
    """Return an answer of several, each of which may have failed by itself."""
    if "error" not in answer:
        return dict(answer)
    if answer["status"] in (429, 502, 503, 504):
        raise UnavailableError(f"OpenSearch is too busy (it answers {answer['status']}); try again")
    if _CANCELLED in str(answer["error"]):
        raise _CancelledError(f"OpenSearch took longer than {SEARCH_SECONDS} s; try again")
    raise OpenSearchError(answer["status"], answer["error"])


@contextmanager
def _stopped_in_time(query: SearchQuery) -> Iterator[None]:
    try:
        yield
    except _CancelledError as error:
        raise too_slow(query, SEARCH_SECONDS) from error


def _indexes(live: Live, generation: str | None, query: SearchQuery) -> list[str]:
    collections = live.contents.get(generation or "", {})
    searched = collections if query.collections is None else set(query.collections) & collections.keys()
    return sorted(collections[collection].items for collection in searched)


def _sort(order: Order) -> dict[str, Any]:
    direction = "desc" if order.descending else "asc"
    return {field_of(order.queryable): {"order": direction, "missing": "_last"}}


def _beyond(condition: Query, order: Order, value: Scalar | None) -> Query:
    """Narrow a condition by what the first entry of the order implies, to read no page before this one."""
    if value is None or not order.total:
        return condition
    side = "lte" if order.descending else "gte"
    bound = {"range": {field_of(order.queryable): {side: _raw(order, value)}}}
    return {"bool": {"filter": [condition, bound]}}


def _raw(order: Order, value: Scalar | None) -> Scalar | None:
    """Return a value as OpenSearch sorts it."""
    if order.queryable.kind == "timestamp" and value is not None:
        return microseconds(str(value))
    if order.queryable.kind == "integer" and value is None:
        return _MISSING[order.descending]
    if order.queryable.kind == "timestamp":
        return _MISSING[order.descending]
    return value


def _value(order: Order, raw: Any) -> Scalar | None:
    """Return a value that OpenSearch sorted as a token holds it; the inverse of :func:`_raw`."""
    if order.queryable.kind == "string":
        return None if raw is None else str(raw)
    if raw == _MISSING[order.descending]:
        return None
    return from_microseconds(raw) if order.queryable.kind == "timestamp" else int(raw)


def _bucket(kind: Kind, bucket: Mapping[str, Any]) -> Bucket:
    key = bucket["key"]
    return Bucket(from_microseconds(key) if kind == "timestamp" else key, bucket["doc_count"])
