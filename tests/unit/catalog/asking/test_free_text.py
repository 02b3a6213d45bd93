"""Free text: what it selects, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.errors import RequestError
from testing.catalog.random_searches import ITEMS
from testing.catalog.searching import selected, selected_both_ways


def test_free_text_finds_words_and_phrases(store: SqliteCatalog) -> None:
    def with_title(*titles: str) -> set[str]:
        return {item["id"] for item in ITEMS if item["properties"].get("title") in titles}

    surface = with_title("Near-Surface Air Temperature", "surface temperature; air")
    assert selected_both_ways(store, "q", "SURFACE") == surface
    assert selected_both_ways(store, "q", "temperature DE") == with_title("température de l'air")
    assert selected_both_ways(store, "q", "temperature air") == with_title("surface temperature; air")
    assert selected(
        store, SearchQuery.from_parameters({"q": "temperature air, amon ,", "limit": "1000"})
    ) == selected(store, SearchQuery.from_values({"q": ["temperature air", "AMON"], "limit": 1000}))
    # Words of two properties are no phrase: the title is followed by the next property's.
    assert selected_both_ways(store, "q", "temperature Amon") == set()
    assert selected_both_ways(store, "q", "OR") == set()


@pytest.mark.parametrize("text", ["-", ",", '"', "a,*", "¶"])
def test_text_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"^q: .*words to search for"):
        SearchQuery.from_parameters({"q": text})


@pytest.mark.parametrize("value", [5, [5], {"a": 1}, [], [""]])
def test_free_text_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match=r"^q: "):
        SearchQuery.from_values({"q": value})


def test_free_text_is_bounded() -> None:
    for q in ([f"w{n}" for n in range(101)], ["a " * 501], ["a" * 10_001]):
        with pytest.raises(RequestError, match=r"^q: takes up to"):
            SearchQuery.from_values({"q": q})
