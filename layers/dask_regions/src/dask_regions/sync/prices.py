"""Prices of requests to S3, by which a sync reports what it cost.

They are an assumption: list prices of one Region, taken for all of them. What a byte costs that leaves a
Region is in :mod:`dask_regions.client.prices`.
"""

from __future__ import annotations

from typing import Any, Final

from dask_regions.sync.steps import Counts

__all__ = ["PRICES", "dollars"]

#: US dollars for a thousand requests. LIST costs what PUT does.
PRICES: Final[dict[str, Any]] = {
    "of": "S3 Standard in us-east-1, list prices of 2026-11, dollars per 1000 requests; Lambda, FSx and "
    "Step Functions are not counted",
    "list": 0.005,
    "put": 0.005,
    "get": 0.0004,
}


def dollars(counts: Counts) -> float:
    """Return the price of a step's requests, estimated.

    Examples
    --------
    >>> dollars(Counts(lists=7000, gets=100_000))
    0.075
    """
    listed = counts.lists * PRICES["list"] + counts.staging_writes * PRICES["put"]
    read = (counts.gets + counts.staging_reads) * PRICES["get"]
    return round(float(listed + read) / 1000, 6)
