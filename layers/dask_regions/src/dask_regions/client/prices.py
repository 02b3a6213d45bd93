"""What a gigabyte costs that leaves a Region. Estimates: list prices, which change."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DEFAULT_PRICE", "PRICES", "PRICES_DATE", "dollars"]

#: When the prices were looked up.
PRICES_DATE = "2026-11-21"

#: US dollars per GB (10^9 bytes), by Region that sends and Region that receives. From the United States
#: to London: about 0.02 for inter-Region transfer, charged at the source ("Amazon EC2 on-demand pricing",
#: data transfer), and 0.02 for processing by the Transit Gateway ("AWS Transit Gateway pricing").
PRICES: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("us-east-1", "eu-west-2"): 0.04,
        ("us-west-2", "eu-west-2"): 0.04,
    }
)

#: US dollars per GB for other pairs: assumed alike.
DEFAULT_PRICE = 0.04


def dollars(
    between: Mapping[tuple[str, str], int], prices: Mapping[tuple[str, str], float] = PRICES
) -> float:
    """Estimate what transfers cost.

    Parameters
    ----------
    between
        Bytes by (sending Region, receiving Region).
    prices
        US dollars per GB by the same pairs; ``DEFAULT_PRICE`` for pairs it lacks.

    Examples
    --------
    >>> dollars({("us-west-2", "eu-west-2"): 5_000_000_000, ("eu-west-2", "eu-west-2"): 7})
    0.2
    """
    return sum(
        nbytes / 1e9 * prices.get(pair, DEFAULT_PRICE)
        for pair, nbytes in between.items()
        if pair[0] != pair[1]
    )
