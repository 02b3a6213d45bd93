"""Prices of bytes that leave a Region, by which plans and transfer reports are in dollars.

They are assumptions, to be replaced by your own prices. What requests to S3 cost in a sync is in
:mod:`dask_regions.sync.prices`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import dask.config

from dask_regions.client.text import money
from dask_regions.errors import ConfigurationError, RequestError

__all__ = [
    "ANY",
    "DEFAULT_PRICE",
    "PRICES",
    "PRICES_DATE",
    "PRICES_KEY",
    "PRICES_NOTE",
    "Prices",
    "assumed",
    "dollars",
    "prices_in_use",
    "told_assumptions",
]

#: US dollars per GB by (sending Region, receiving Region); the receiver :data:`ANY` is every other one.
Prices = Mapping[tuple[str, str], float]
ANY = "*"

#: When the prices were written down here. Secondary pages agree on them; AWS's own price list was not read.
PRICES_DATE = "2026-11-21"
#: What is said where dollars are shown.
PRICES_NOTE = f"estimate at prices assumed on {PRICES_DATE}"

#: Dask configuration that replaces the table, e.g. in ``~/.config/dask/dask-regions.yaml``::
#:
#:     dask-regions:
#:       prices:                # US dollars per GB
#:         us-east-1: 0.04      # to any other Region
#:         us-west-2:
#:           eu-west-2: 0.03
#:           "*": 0.04
PRICES_KEY = "dask-regions.prices"

# AWS charges by the Region that sends ("Amazon EC2 on-demand pricing", data transfer), and for each GB
# that a VPC hands to its Transit Gateway ("AWS Transit Gateway pricing", data processing).
_TRANSIT_GATEWAY = 0.02
_NORTH_AMERICA = ("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1")
_OHIO_VIRGINIA = 0.01 + _TRANSIT_GATEWAY
_EUROPE = ("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3")

#: The default table. Regions that it lacks, in Asia, Africa and South America, cost up to several times
#: as much; pairs without a price are named by every report that has them.
PRICES: Prices = MappingProxyType(
    {(source, ANY): 0.02 + _TRANSIT_GATEWAY for source in (*_NORTH_AMERICA, *_EUROPE)}
    | {("us-east-1", "us-east-2"): _OHIO_VIRGINIA, ("us-east-2", "us-east-1"): _OHIO_VIRGINIA}
)

#: US dollars per GB for pairs without a price: assumed alike.
DEFAULT_PRICE = 0.04


def dollars(between: Mapping[tuple[str, str], int], prices: Prices = PRICES) -> float:
    """Estimate what transfers cost.

    Parameters
    ----------
    between
        Bytes by (sending Region, receiving Region); those that stay in their Region cost nothing.
    prices
        US dollars per GB (10^9 bytes) by the same pairs, or by (sending Region, ``ANY``);
        ``DEFAULT_PRICE`` for pairs it lacks.

    Examples
    --------
    >>> dollars({("us-west-2", "eu-west-2"): 5_000_000_000, ("eu-west-2", "eu-west-2"): 7})
    0.2
    """
    return math.fsum(
        nbytes / 1e9 * _price(pair, prices, DEFAULT_PRICE)
        for pair, nbytes in between.items()
        if pair[0] != pair[1]
    )


def assumed(between: Mapping[tuple[str, str], int], prices: Prices = PRICES) -> list[tuple[str, str]]:
    """Return the pairs of Regions whose price is a guess, sorted."""
    return sorted(
        pair
        for pair, nbytes in between.items()
        if nbytes and pair[0] != pair[1] and _price(pair, prices, None) is None
    )


def told_assumptions(between: Mapping[tuple[str, str], int], prices: Prices) -> list[str]:
    """Return a sentence about the pairs without a price; none where every pair has one."""
    pairs = [f"{source} to {target}" for source, target in assumed(between, prices)]
    if not pairs:
        return []
    return [
        f"Price assumed ({money(DEFAULT_PRICE)} per GB) for {', '.join(pairs)}; "
        f"set it with prices=, or in Dask's configuration: {PRICES_KEY}."
    ]


def prices_in_use(explicit: Prices | None = None) -> Prices:
    """Return the table to use: the argument, else Dask's configuration, else ``PRICES``.

    Parameters
    ----------
    explicit
        US dollars per GB by (sending Region, receiving Region or ``ANY``).

    Raises
    ------
    RequestError
        Where the argument is no such table.
    ConfigurationError
        Where the configuration is none; one line for every wrong entry.
    """
    if explicit is not None:
        return _checked(explicit)
    configured = dask.config.get(PRICES_KEY, None)
    return PRICES if configured is None else _configured(configured)


def _price(pair: tuple[str, str], prices: Prices, default: Any) -> Any:
    return prices.get(pair, prices.get((pair[0], ANY), default))


def _checked(prices: Prices) -> Prices:
    example = "write {('us-west-2', 'eu-west-2'): 0.04}, in US dollars per GB"
    if not isinstance(prices, Mapping):
        raise RequestError("prices", f"{prices!r:.100} is no table; {example}")
    for pair, price in prices.items():
        named = isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(name, str) for name in pair)
        if not named or not _is_price(price):
            raise RequestError("prices", f"{pair!r}: {price!r} is no price of a pair of Regions; {example}")
    return prices


def _configured(table: Any) -> Prices:
    """Flatten the nested table of the configuration."""
    if not isinstance(table, Mapping):
        raise ConfigurationError(
            f"{PRICES_KEY}: {table!r:.100} is no table; write one line per sending Region, "
            "e.g. 'us-east-1: 0.04'"
        )
    prices: dict[tuple[str, str], float] = {}
    problems = []
    for source, entry in table.items():
        for target, price in (entry if isinstance(entry, Mapping) else {ANY: entry}).items():
            if _is_price(price):
                prices[str(source), str(target)] = float(price)
            else:
                where = f"{PRICES_KEY}.{source}" + (f".{target}" if isinstance(entry, Mapping) else "")
                problems.append(f"{where}: {price!r} is no price; write US dollars per GB, e.g. 0.04")
    if problems:
        raise ConfigurationError(*problems)
    return prices


def _is_price(price: object) -> bool:
    return isinstance(price, int | float) and not isinstance(price, bool) and 0 <= price < math.inf
