"""Timestamps as text and as numbers."""

from __future__ import annotations

import pytest

from dask_regions.catalog.timestamps import EARLIEST, LATEST, from_microseconds, microseconds, parse_timestamp


@pytest.mark.parametrize(
    "text", [EARLIEST, LATEST, "1969-12-31T23:59:59.999999Z", "2100-12-30T12:00:00.000001Z"]
)
def test_timestamps_are_exact_as_numbers(text: str) -> None:
    assert from_microseconds(microseconds(text)) == text
    assert parse_timestamp(text) == text
