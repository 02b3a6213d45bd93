"""Collection search: like Item search, over the Collections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from dask_regions.catalog.asking.evaluate import evaluate
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.indexing import indexed
from dask_regions.catalog.web.api import create_app
from testing.catalog.stac_api import Gateway, MemoryStore, links, load_configuration, make_item

REGIONS = """
regions:
  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}
  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {}}
  - {name: us-east-1, cidr: 10.2.0.0/16, pool: {}}
datasets:
"""
DATASET = """
  - id: {id}
    title: {title}
    description: {description}
    region: {region}
    bucket: bucket-{id}
    layout: era5
    fsx_path: /fsx/{id}
"""


@pytest.fixture
def call(tmp_path: Path) -> Gateway:
    """Five Collections; c has the Pacific's middle, d no Items."""
    rows = [
        ("b", "Rain", "Monthly means.", "us-west-2"),
        ("a", "Naïve temperature", "Annual means of the air.", "us-west-2"),
        ("e", "Zonal wind", "Daily.", "us-east-1"),
        ("d", "Nothing yet", "Hourly.", "us-east-1"),
        ("c", "rain", "Of the Pacific.", "us-east-1"),
    ]
    keys = ("id", "title", "description", "region")
    text = REGIONS + "".join(DATASET.format(**dict(zip(keys, row, strict=True))) for row in rows)
    items = [
        make_item("1", "a", start_datetime="1990-01-01T00:00:00Z"),
        make_item("2", "b", variables=["rainfall_flux"]),
        make_item("3", "c", start_datetime="2005-01-01T00:00:00Z", end_datetime="2020-01-01T00:00:00Z"),
        make_item("4", "e", scenario="SSP585"),
    ]
    items[2]["bbox"] = [170.0, -10.0, -170.0, 10.0]
    configuration = load_configuration(tmp_path, text)
    return Gateway(create_app(MemoryStore(items), lambda: configuration).resolve)


def found(call: Gateway, query: str) -> list[str]:
    answer = call(f"/collections?{query}")
    assert answer.status == 200, answer
    return [collection["id"] for collection in answer.json["collections"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abcde"),
        ("bbox=175,-5,-175,5", "cd"),
        ("bbox=-179,-5,-178,5", "cd"),
        ("bbox=0.5,0.5,2,2", "abde"),
        ("datetime=1995-01-01T00:00:00Z", "ad"),
        ("datetime=2015-01-01T00:00:00Z/..", "cd"),
        ("datetime=../1999-01-01T00:00:00Z", "ad"),
        ("q=RAIN", "bc"),
        ("q=naive", "a"),
        ("q=annual means,hourly", "ad"),
        ("q=means annual", ""),
        ("q=ssp585", "e"),
        ("q=rainfall_flux", "b"),
        ("filter=id IN ('a','z')", "a"),
        ("filter=title LIKE 'R%25'", "b"),
        ("filter=CASEI(title) = CASEI('RAIN')", "bc"),
        ("filter=a_contains(regions, 'us-east-1')", "cde"),
        ("filter=start_datetime < TIMESTAMP('2000-01-01T00:00:00Z')", "a"),
        # An unknown start is neither before nor after.
        ("filter=NOT start_datetime < TIMESTAMP('2000-01-01T00:00:00Z')", "bce"),
        ("filter=start_datetime IS NULL", "d"),
        ("filter=S_INTERSECTS(geometry, POINT(179 0))", "cd"),
        ("filter=T_AFTER(end_datetime, TIMESTAMP('2015-01-01T00:00:00Z'))", "c"),
        ('query={"id": {"in": ["b", "e"]}}', "be"),
        ("sortby=-id", "edcba"),
        ("sortby=title", "adbec"),
        ("sortby=start_datetime,-id", "aebcd"),
        ("sortby=-start_datetime", "cbead"),
        ("q=rain&sortby=-id&filter=a_contains(regions, 'us-east-1')", "c"),
    ],
)
def test_collections_are_searched_and_ordered(call: Gateway, query: str, expected: str) -> None:
    assert "".join(found(call, quote(query, safe="=&%"))) == expected


def test_a_body_asks_the_same(call: Gateway) -> None:
    body: dict[str, Any] = {
        "q": ["rain"],
        "sortby": [{"field": "id", "direction": "desc"}],
        "filter": {"op": "=", "args": [{"property": "title"}, "Rain"]},
    }
    assert [collection["id"] for collection in call("/collections", "POST", body).json["collections"]] == [
        "b"
    ]


@pytest.mark.parametrize("order", ["", "&sortby=-title", "&sortby=start_datetime"])
def test_pages_follow_next_links(call: Gateway, order: str) -> None:
    everything = found(call, order)
    paged, url = [], f"/collections?limit=2{order}"
    while url:
        page = call(url).json
        paged += [collection["id"] for collection in page["collections"]]
        assert (page["numberMatched"], page["numberReturned"]) == (5, len(page["collections"]))
        url = next((link["href"] for link in links(page, "next")), "")
    assert paged == everything
    assert not links(call("/collections?limit=5").json, "next")


def test_pages_of_a_post_merge_the_token(call: Gateway) -> None:
    body: dict[str, Any] = {"limit": 3}
    page = call("/collections", "POST", body).json
    (link,) = links(page, "next")
    page = call(link["href"], link["method"], {**body, **link["body"]}).json
    assert [collection["id"] for collection in page["collections"]] == ["d", "e"]
    assert not links(page, "next")


def test_fields_choose_what_collections_show(call: Gateway) -> None:
    always = {"type", "stac_version", "id"}
    (first, *_) = call("/collections?fields=title").json["collections"]
    assert first.keys() == {*always, "title"}
    (first, *_) = call("/collections", "POST", {"fields": {}}).json["collections"]
    assert first.keys() == {*always, "description", "license", "extent", "links"}
    (first, *_) = call("/collections?fields=-links,-extent.spatial").json["collections"]
    assert "links" not in first
    assert first["extent"].keys() == {"temporal"}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("filter=scenario = 'A1B'", "filter"),
        ("filter=NOT (id = 'a' OR year > 2000)", "filter"),
        ("filter=a_contains(variables, 'x')", "filter"),
        ('query={"cmip6:table_id": {"eq": "Amon"}}', "query"),
        ("sortby=scenario", "sortby"),
        ("sortby=regions", "sortby"),
        ("ids=a", "ids"),
        ("collections=a", "collections"),
        ("token=nonsense", "token"),
        ("limit=0", "limit"),
    ],
)
def test_what_collections_do_not_have_is_named(call: Gateway, query: str, parameter: str) -> None:
    answer = call(f"/collections?{quote(query, safe='=')}")
    assert answer.status == 400
    assert answer.json["description"].startswith(f"{parameter}: "), answer


def test_a_token_of_another_search_is_refused(call: Gateway) -> None:
    of_items = links(call("/search?limit=1&sortby=id").json, "next")[0]["href"].partition("token=")[2]
    of_others = links(call("/collections?limit=1&q=rain").json, "next")[0]["href"].partition("token=")[2]
    for token in (of_items, of_others):
        answer = call(f"/collections?limit=1&token={token}")
        assert answer.status == 400
        assert answer.json["description"].startswith("token: ")


def test_queryables_of_collections_are_what_filters_may_name(call: Gateway) -> None:
    (link,) = links(call("/collections").json, "http://www.opengis.net/def/rel/ogc/1.0/queryables")
    schema = call(link["href"]).json
    jsonschema.Draft201909Validator.check_schema(schema)
    assert schema["$id"] == link["href"]
    for name in schema["properties"].keys() - {"geometry"}:
        assert call(f"/collections?filter={name} IS NULL".replace(" ", "%20")).status == 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title LIKE 'a%'", True),
        ("title LIKE '%c'", True),
        ("title LIKE 'a_c'", True),
        ("title LIKE 'ab'", False),
        ("title LIKE '%b%'", True),
        ("title LIKE '%'", True),
        ("title LIKE ''", False),
        ("title LIKE 'a%b%c'", True),
        ("title LIKE 'a%c%b'", False),
        ("scenario LIKE '%'", None),
        ("scenario = 'x' OR title = 'abc'", True),
        ("scenario = 'x' OR title = 'x'", None),
        ("scenario = 'x' AND title = 'x'", False),
        ("scenario = 'x' AND title = 'abc'", None),
        ("NOT scenario = 'x'", None),
        ("NOT scenario IS NULL", False),
        ("title = id", False),
        ("year = 2000", True),
        ("a_overlaps(variables, ('x', 'y'))", False),
        ("a_equals(variables, ('air_temperature'))", True),
        ("a_containedBy(variables, ('air_temperature', 'z'))", True),
    ],
)
def test_what_is_unknown_is_neither_true_nor_false(text: str, expected: bool | None) -> None:
    subject = indexed(make_item("i", title="abc", scenario=None))
    assert evaluate(SearchQuery.from_parameters({"filter": text}).condition, subject) is expected


def test_a_pattern_with_many_wildcards_takes_no_time() -> None:
    subject = indexed(make_item("i", title="a" * 2000))
    pattern = json.dumps({"op": "like", "args": [{"property": "title"}, "%a" * 400 + "b"]})
    query = SearchQuery.from_parameters({"filter": pattern, "filter-lang": "cql2-json"})
    assert evaluate(query.condition, subject) is False
