"""A search that would keep the cluster busy is stopped there, and the caller is told what to make shorter."""

from __future__ import annotations

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.opensearch import OpenSearchCatalog, reading
from dask_regions.errors import RequestError
from testing.catalog.stac_api import fill, make_item


def test_a_search_that_takes_too_long_is_stopped(
    opensearch_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A slow machine may take long to notice that it is to stop; what is waited for is that it does.
    store = OpenSearchCatalog(opensearch_url, seconds=120)
    fill(store, [make_item(f"i{n}", title="air " * 1000) for n in range(200)])
    # Each walks over a long title from each of its letters on.
    leaves = [{"op": "like", "args": [{"property": "title"}, f"%a_r%{'_' * 100}{n}"]} for n in range(400)]
    query = SearchQuery.from_values({"filter": {"op": "or", "args": leaves}})
    monkeypatch.setitem(reading._HEADER, "cancel_after_time_interval", "1ms")
    for ask in (store.search, lambda query: store.aggregate(query, ["scenario"])):
        with pytest.raises(RequestError, match=r"^filter: took longer than .* fewer conditions$"):
            ask(query)
    monkeypatch.undo()
    assert store.search(SearchQuery()).matched == 200
