"""What one request may take: no text of a caller's outgrows the parser, the memory or an answer of Lambda."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from dask_regions.catalog import stac
from dask_regions.catalog.asking import paging
from dask_regions.catalog.asking.cql2.filter import parse
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.asking.values import Fields
from dask_regions.catalog.sqlite import SqliteCatalog, reader
from dask_regions.errors import RequestError, UnavailableError
from testing.catalog.stac_api import MemoryStore, fill, gateway, make_item

# Lambda answers with no more.
_MAXIMUM_ANSWER_BYTES = 6_291_556


@pytest.mark.parametrize(
    "text",
    ["(" * 11, "(" * 200, "(" * 11 + "scenario = 'x'" + ")" * 11, "not " + "(1 + (" * 6, "POINT" + "(" * 400],
)
def test_parentheses_that_the_parser_would_never_be_done_with_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="more than 10 nested parentheses"):
        parse(text, "cql2-text")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10 + "scenario = 'x'" + ")" * 10,
        " and ".join(["(scenario = 'x')"] * 40),
        "scenario = '" + "(" * 100 + "'",
        "(" * 7 + "s_intersects(geometry, POLYGON((0 0, 1 0, 1 1, 0 0)))" + ")" * 7,
    ],
)
def test_parentheses_of_a_person_are_understood(text: str) -> None:
    assert parse(text, "cql2-text") is not None


def test_what_callers_search_for_is_not_kept() -> None:
    text = "".join(["never ", "searched ", "before"])
    before = sys.getrefcount(text)
    SearchQuery.from_values({"q": [text]})
    assert sys.getrefcount(text) == before


def test_any_number_of_fields_is_chosen_in_one_walk() -> None:
    # Were each compared with each member of each Item, this would take minutes.
    fields = Fields(include=("id", "properties.a.b", *(f"properties.a{n}.b" for n in range(20_000))))
    document = {"id": "x", "type": "Feature", "properties": {f"a{n}": {"b": n, "c": n} for n in range(300)}}
    chosen = stac.select([document] * 100, fields)
    assert len(chosen) == 100
    assert chosen[-1]["properties"] == {f"a{n}": {"b": n} for n in range(300)}


@pytest.mark.parametrize(
    ("body", "start", "end"),
    [
        ({"limit": "é" * 900_000}, "limit: must be a whole number", "é'"),
        ({"datetime": "\0" * 160_000}, "datetime: '", "write it like 2070-01-01T00:00:00Z"),
        ({"sortby": [{"field": "é" * 900_000}]}, "sortby: '", "cmip6:frequency"),
        ({"é" * 900_000: 1}, "é", "filter-crs, sortby, fields, limit, token"),
    ],
    ids=["limit", "datetime", "sortby", "name"],
)
def test_an_error_about_a_long_text_fits_an_answer_and_names_the_fix(
    tmp_path: Path, body: dict[str, Any], start: str, end: str
) -> None:
    answer = gateway(MemoryStore(), tmp_path)(
        "/search", "POST", json.dumps(body, ensure_ascii=False).encode()
    )
    assert answer.status == 400
    assert answer.json["description"].startswith(start)
    assert answer.json["description"].endswith(end)
    assert len(json.dumps(answer.text)) < _MAXIMUM_ANSWER_BYTES


def test_a_page_of_items_with_many_assets_fits_an_answer() -> None:
    # As ERA5's months are, with a file and a store for each variable, held by two Regions.
    copies = [make_item("2018-01", regions=[region]) for region in ("us-west-2", "us-east-1")]
    for copy in copies:
        (asset,), (region,) = copy["assets"].values(), copy["properties"]["regions"]
        fsx = {**asset["alternate"]["fsx"], "storage:refs": [f"fsx-{region}"]}
        for number in range(36):
            path = f"{region}-copy/zarr/2018/01/data/{number}_eastward_wind_at_100_metres_1hour_Accumulation"
            copy["assets"][f"{number}"] = {
                **asset,
                "href": f"s3://{path}",
                "storage:refs": [f"s3-{region}"],
                "alternate": {"fsx": {**fsx, "href": f"file:///fsx/{path}"}},
            }
        copy["properties"]["storage:schemes"] = {
            f"{kind}-{region}": {"type": kind, "region": region} for kind in ("s3", "fsx")
        }
    item = stac.merge(copies)
    page = paging.cut([item] * 1000)
    base = "https://abcdefghij.execute-api.eu-west-2.amazonaws.com"
    answer = to_json([stac.complete(item, {}, base) for item in page]).decode()
    assert len(page) > 100
    assert len(json.dumps(answer)) < _MAXIMUM_ANSWER_BYTES


@pytest.fixture
def store(tmp_path: Path) -> SqliteCatalog:
    store = SqliteCatalog(f"sqlite:///{tmp_path}/catalog.sqlite")
    fill(store, [make_item(f"i{n}") for n in range(20)])
    return store


def test_a_search_that_takes_too_long_is_stopped(
    store: SqliteCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_STEPS_BETWEEN_LOOKS", 10)
    monkeypatch.setattr(reader, "SEARCH_SECONDS", -1)
    query = SearchQuery.from_values({"filter-lang": "cql2-text", "filter": "casei(id) like '%9%'"})
    with pytest.raises(RequestError, match=r"^filter: took longer than"):
        store.search(query)
    with pytest.raises(RequestError, match=r"^filter: took longer than"):
        store.aggregate(query, ["scenario"])
    with pytest.raises(UnavailableError, match="took longer than"):
        store.search(SearchQuery())
    monkeypatch.undo()
    assert store.search(query).matched == 2


def test_long_lists_of_a_caller_are_not_kept(store: SqliteCatalog) -> None:
    store.search(SearchQuery())
    tracemalloc.start()
    try:
        for search in range(20):
            store.search(SearchQuery(ids=tuple(f"{search}-{n}" for n in range(20_000))))
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
