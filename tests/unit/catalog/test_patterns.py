"""Patterns of CQL2's like."""

from __future__ import annotations

import pytest

from dask_regions.catalog.patterns import characters, escape, regular_expression


@pytest.mark.parametrize("text", ["100%_\\", "a*b[c]", "", "\0\n"])
def test_an_escaped_text_is_a_pattern_of_itself_alone(text: str) -> None:
    assert [character for character, wildcard in characters(escape(text)) if not wildcard] == list(text)
    assert regular_expression(escape(text)).fullmatch(text)
    assert not regular_expression(escape(text)).fullmatch(text + "x")
    assert regular_expression(escape(text) + "%").fullmatch(text + "\nx")


def test_a_pattern_of_many_wildcards_takes_no_time() -> None:
    assert not regular_expression("%a" * 400 + "b").fullmatch("a" * 2000)
    assert regular_expression("%a" * 400).fullmatch("a" * 2000)
