"""Items as documents of OpenSearch."""

from __future__ import annotations

from typing import Any

import pytest

from dask_regions.catalog.opensearch.fields import FORMAT, document_of, field_of, identifier
from dask_regions.catalog.queryables import BEGAN, ENDED, QUERYABLES
from dask_regions.errors import RequestError
from testing.catalog.generations import make_item

WEST, EAST = "us-west-2", "us-east-1"


def part(region: str = WEST, **changes: Any) -> dict[str, Any]:
    return {"source": f"{region}/a", "item": make_item("a", region, **changes)}


def test_what_is_searched_of_an_item() -> None:
    item = make_item(
        "a", properties={"scenario": "ÄIR", "variables": ["tas", "pr", "tas"], "title": "Air, Rain"}
    )
    document, geometry = document_of({WEST: {"source": "a/", "item": item}})
    values = document["values"]
    assert (values["id"], values["collection"], values["scenario"]) == ("a", "cmip6", "ÄIR")
    assert document["folded"]["scenario"] == "äir"
    assert (values["variables"], document["sizes"]["variables"]) == (["pr", "tas"], 2)
    assert values[BEGAN.name] == 946_684_800_000_000
    assert values[ENDED.name] == 1_262_303_999_000_000
    assert {"air", "rain"} <= {*document["words"].split()}
    assert document["extent"] == {"west": -180.0, "south": -90.0, "east": 180.0, "north": 90.0}
    assert document["regions"] == [WEST]
    assert document["item"] == item
    assert document["parts"] == {WEST: {"source": "a/"}}
    assert geometry == (document["geometry"], item["geometry"])


def test_what_an_item_lacks_is_not_in_its_document() -> None:
    document, geometry = document_of({WEST: part(geometry=None, bbox=None)})
    assert "scenario" not in document["values"]
    assert geometry is None
    assert not {"geometry", "extent"} & document.keys()


def test_a_box_across_the_antimeridian_extends_all_around() -> None:
    ring = [[170, 0], [180, 0], [180, 5], [170, 5], [170, 0]]
    other = [[-180, 0], [-170, 0], [-170, 5], [-180, 5], [-180, 0]]
    geometry = {"type": "MultiPolygon", "coordinates": [[ring], [other]]}
    document, _ = document_of({WEST: part(geometry=geometry, bbox=[170.0, 0.0, -170.0, 5.0])})
    assert document["extent"] == {"west": -180.0, "south": 0.0, "east": 180.0, "north": 5.0}


def test_copies_of_several_regions_are_one_document_with_its_parts() -> None:
    parts = {region: part(region) for region in (WEST, EAST)}
    document, _ = document_of(parts)
    assert document["regions"] == [EAST, WEST]
    assert document["values"]["regions"] == [EAST, WEST]
    assert document["item"]["properties"]["regions"] == [EAST, WEST]
    assert document["parts"] == parts


@pytest.mark.parametrize(("bytes_of_title", "refused"), [(32_766, False), (32_767, True)])
def test_a_term_that_is_too_long_for_lucene_is_refused(bytes_of_title: int, refused: bool) -> None:
    parts = {WEST: part(properties={"title": "é" * (bytes_of_title // 2) + "a" * (bytes_of_title % 2)})}
    if refused:
        with pytest.raises(RequestError, match=r"^Item a: title is longer than 32766 bytes; shorten it$"):
            document_of(parts)
    else:
        assert document_of(parts)[0]["values"]["title"]


def test_what_persists_has_the_names_it_had() -> None:
    # A catalog that is made has to be made anew where this changes: it does with the queryables.
    assert FORMAT == "cbe7b7db2dbdd5b0"
    assert field_of(QUERYABLES["cmip6:source_id"]) == "values.cmip6:source_id"
    assert identifier("target", "g1", "c") == "586b38c00ccff5699ca436b88a6e6628a4c124e5"
    assert identifier("a", "bc") != identifier("ab", "c")
