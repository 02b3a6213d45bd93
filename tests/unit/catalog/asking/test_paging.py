"""Tokens of pages, and pages that fit an answer."""

from __future__ import annotations

import json
from dataclasses import replace

from dask_regions.catalog.asking import paging
from dask_regions.catalog.asking.query import SearchQuery


def test_tokens_carry_every_kind_of_value() -> None:
    query = SearchQuery.from_parameters({"sortby": "year,-title,scenario,start_datetime"})
    values = (2015, "日本", None, "2015-01-01T00:00:00.000000Z", "cmip6", "a/b")
    after = paging.After("g1", values)
    token = paging.encode(query, after)
    assert paging.decode(replace(query, token=token)) == after


def test_a_page_is_cut_by_what_an_answer_may_hold() -> None:
    small = [{"id": str(n)} for n in range(1000)]
    assert paging.cut(small) == paging.cut(small, 10_000) == small
    large = [{"id": "é" * 100_000}] * 30
    cut = paging.cut(large, 30 * 100_020)
    assert 1 < len(cut) < 30
    assert len(json.dumps(json.dumps(cut))) < 6_291_556
    assert paging.cut([{"id": "x" * 10_000_000}, {}]) == [{"id": "x" * 10_000_000}]
    assert paging.cut([]) == []
