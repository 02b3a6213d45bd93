"""What a search of the API answers: pages, the fields that were asked for, order and counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testing.catalog.stac_api import IDS, Gateway, MemoryStore, gateway, links, make_item


@pytest.fixture
def call(tmp_path: Path) -> Gateway:
    return gateway(MemoryStore([make_item(item_id) for item_id in IDS]), tmp_path)


def test_pages_of_a_get_follow_next_links(call: Gateway) -> None:
    paged, url = [], "/collections/a1b/items?limit=4&datetime=2005-01-01T00:00:00%2B00:00"
    while url:
        page = call(url).json
        paged += [feature["id"] for feature in page["features"]]
        assert page["numberMatched"] == 6
        assert page["numberReturned"] == len(page["features"])
        url = next((link["href"] for link in links(page, "next")), "")
    assert paged == ["i00", "i01", "i02", "i03", "i04", "é ü+%/"]


def test_a_last_page_that_is_full_has_no_next_link(call: Gateway) -> None:
    assert not links(call("/search?limit=6").json, "next")
    assert links(call("/search?limit=5").json, "next")


def test_pages_of_a_post_merge_the_token_into_the_body(call: Gateway) -> None:
    body: dict[str, Any] = {"collections": ["a1b"], "limit": 4, "filter-lang": "cql2-json"}
    body["filter"] = {"op": "=", "args": [{"property": "scenario"}, "A1B"]}
    page = call("/search", "POST", body).json
    (link,) = links(page, "next")
    assert link["merge"] is True
    page = call("/search", link["method"], {**body, **link["body"]}).json
    assert [feature["id"] for feature in page["features"]] == ["i04", "é ü+%/"]
    assert not links(page, "next")


def test_a_page_ends_before_it_outgrows_an_answer_of_lambda(tmp_path: Path) -> None:
    # A quote takes four bytes: it is escaped in the Item, and again in the function's result.
    call = gateway(MemoryStore([make_item(f"i{n}", title='"' * 500_000) for n in range(6)]), tmp_path)
    paged, url = 0, "/search"
    while url:
        answer = call(url)
        paged += len(answer.json["features"])
        assert len(json.dumps(answer.text)) < 6_000_000
        url = next((link["href"] for link in links(answer.json, "next")), "")
    assert paged == 6


def test_fields_choose_what_items_show(call: Gateway) -> None:
    def shown(fields: Any) -> dict[str, Any]:
        body = {"ids": ["i00"], "fields": fields}
        feature: dict[str, Any] = call("/search", "POST", body).json["features"][0]
        return feature

    always = {"type", "stac_version", "id", "collection"}
    (feature,) = call("/search?ids=i00&fields=properties.scenario,-bbox,-links").json["features"]
    assert feature.keys() == {*always, "properties"}
    assert feature["properties"] == {"scenario": "A1B"}
    feature = shown({"exclude": ["assets", "properties.variables"]})
    assert "assets" not in feature
    assert "variables" not in feature["properties"]
    assert feature["properties"]["scenario"] == "A1B"
    # As the extension's table has it.
    needed = {*always, "geometry", "bbox", "links", "assets", "properties"}
    nothings: tuple[dict[str, Any], ...] = ({}, {"include": [], "exclude": None}, {"include": None})
    for nothing in nothings:
        assert shown(nothing).keys() == needed
        assert shown(nothing)["properties"].keys() == {"datetime", "start_datetime", "end_datetime"}
    assert shown({"include": None, "exclude": ["geometry"]}).keys() == needed - {"geometry"}
    assert shown({"include": ["geometry", "bbox"], "exclude": ["geometry"]}).keys() == {
        *always,
        "geometry",
        "bbox",
    }
    feature = shown({"include": ["properties.scenario"], "exclude": ["properties"]})
    assert feature["properties"] == {"scenario": "A1B"}
    feature = shown({"include": ["properties"], "exclude": ["properties.scenario"]})
    assert "scenario" not in feature["properties"]
    assert "variables" in feature["properties"]
    assert shown({"include": ["no.such.thing", "id"]}).keys() == always
    assert shown({"exclude": ["id", "type"]})["id"] == "i00"


def test_sortby_orders_items(call: Gateway) -> None:
    page = call("/search?sortby=-id&limit=2&filter=id LIKE 'i%25'").json
    assert [feature["id"] for feature in page["features"]] == ["i04", "i03"]


def test_items_of_a_collection_are_not_searched_in_another(call: Gateway) -> None:
    assert call("/collections/a1b/items?collections=a1b").status == 200
    for target in ("/collections/a1b/items?collections=e1", "/collections/a1b/aggregate?collections=a1b,e1"):
        answer = call(target)
        assert answer.status == 400
        assert answer.json["description"].startswith("collections: ")


def test_aggregations_count_what_matches(tmp_path: Path) -> None:
    items = [
        make_item("a"),
        make_item("b", variables=["air_temperature", "rainfall"]),
        make_item("c", "e1", start_datetime="2001-02-03T00:00:00Z", scenario=None),
    ]
    call = gateway(MemoryStore(items), tmp_path)
    names = [described["name"] for described in call("/aggregations").json["aggregations"]]
    assert (
        call("/collections/a1b/aggregations").json["aggregations"]
        == call("/aggregations").json["aggregations"]
    )
    answer = call(f"/aggregate?aggregations={','.join(names)}")
    counts = {count["name"]: count for count in answer.json["aggregations"]}
    assert list(counts) == names
    assert counts["total_count"] == {"name": "total_count", "data_type": "integer", "value": 3}
    counted = {
        name: {bucket["key"]: bucket["frequency"] for bucket in count["buckets"]}
        for name, count in counts.items()
        if name != "total_count"
    }
    assert counted == {
        "collection_frequency": {"a1b": 2, "e1": 1},
        "region_frequency": {"us-west-2": 2, "us-east-1": 1},
        "variable_frequency": {"air_temperature": 3, "rainfall": 1},
        "scenario_frequency": {"A1B": 2},
        "year_frequency": {"2000": 2, "2001": 1},
    }
    assert counts["year_frequency"]["data_type"] == "numeric"
    body = {
        "aggregations": ["total_count"],
        "filter": {"op": "a_contains", "args": [{"property": "variables"}, ["rainfall"]]},
    }
    assert call("/aggregate", "POST", body).json["aggregations"][0]["value"] == 1
    assert call("/collections/e1/aggregate", "POST", body).json["aggregations"][0]["value"] == 0
    assert call("/collections/e1/aggregate?aggregations=total_count").json["aggregations"][0]["value"] == 1
    assert call("/aggregate").json["aggregations"] == []
    answer = call("/aggregate?aggregations=colour_frequency")
    assert answer.status == 400
    assert answer.json["description"].startswith("aggregations: there is no 'colour_frequency'")
