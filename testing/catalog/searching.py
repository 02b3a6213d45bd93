"""Which Items a search selects."""

from __future__ import annotations

import json
from typing import Any

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.engines import Store

__all__ = ["selected", "selected_both_ways"]


def selected(store: Store, query: SearchQuery) -> set[str]:
    """Return the ids of the Items on the first page."""
    return {item["id"] for item in store.search(query).items}


def selected_both_ways(store: Store, name: str, value: Any) -> set[str]:
    """Return what a GET selects by one parameter, having checked that a POST selects the same."""
    text = value if isinstance(value, str) else json.dumps(value)
    by_get = selected(store, SearchQuery.from_parameters({name: text, "limit": "1000"}))
    assert selected(store, SearchQuery.from_values({name: value, "limit": 1000})) == by_get
    return by_get
