"""One table declares every parameter of a search; what else names parameters agrees with it."""

from __future__ import annotations

from dataclasses import fields

from dask_regions.catalog.asking.parameters import TABLE, of_search
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.web.routes import ROUTES

#: Parameters that a query does not keep: they are read together with filter.
WITH_FILTER = {"filter-lang", "filter-crs"}


def test_a_query_has_a_field_for_each_parameter_of_a_search_of_items() -> None:
    declared = {parameter.name for parameter in of_search("items")}
    assert {field.name for field in fields(SearchQuery)} == declared - WITH_FILTER


def test_every_parameter_belongs_to_a_search_and_is_taken_by_get_and_by_post() -> None:
    assert len({parameter.name for parameter in TABLE}) == len(TABLE)
    taken = {(parameter.name, route.method) for route in ROUTES for parameter in route.takes}
    assert taken == {(parameter.name, method) for parameter in TABLE for method in ("GET", "POST")}


def test_what_selects_is_what_makes_another_search_and_the_rest_is_not() -> None:
    selecting = {parameter.name for parameter in TABLE if parameter.selects is not TABLE[0].selects}
    assert selecting == {
        "collections", "ids", "intersects", "bbox", "datetime", "q", "query", "filter",
    }  # fmt: skip
    assert {parameter.name for parameter in TABLE if parameter.costly} <= selecting
