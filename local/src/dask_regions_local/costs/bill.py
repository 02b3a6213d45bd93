"""What each Region of a system costs a month, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dask_regions.deploy.checkout import CLIENT_TEMPLATE, IMAGES_TEMPLATE, WORKER_TEMPLATE, Checkout
from dask_regions.deploy.samconfig.parameters import given
from dask_regions.models import Configuration
from dask_regions_local.costs.inventory import inventory
from dask_regions_local.costs.prices import Prices
from dask_regions_local.costs.rules import Usage, items

__all__ = ["Bill", "Line", "bills"]


@dataclass(frozen=True)
class Line:
    """What one thing costs a month, in US dollars, at rest and at load."""

    what: str
    rest: float
    load: float


@dataclass(frozen=True)
class Bill:
    """What one Region costs a month; ``role`` is ``client`` or ``worker``."""

    region: str
    role: str
    lines: tuple[Line, ...]

    @property
    def total(self) -> Line:
        """The sum of all lines."""
        return Line("total", sum(line.rest for line in self.lines), sum(line.load for line in self.lines))


def bills(
    configuration: Configuration,
    root: Path,
    prices: Prices,
    usage: Usage | None = None,
    explicit: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Bill]:
    """Return the bill of each Region.

    Parameters
    ----------
    configuration
        Regions, pools, datasets, profile and network.
    root
        Of the checkout that has the templates.
    prices
        The table.
    usage
        What is assumed of the months.
    explicit
        Parameters by Region; they go before all others.

    Raises
    ------
    ConfigurationError
        Where the configuration, or a template, is wrong.
    NotFoundError
        Where the table lacks a price.
    """
    checkout, client = Checkout(root), configuration.client_region
    idle = given(configuration, client, checkout).get("SchedulerIdleMinutes", "0")
    made = []
    for region in configuration.regions:
        template = CLIENT_TEMPLATE if region.client else WORKER_TEMPLATE
        parameters = {**given(configuration, region, checkout), **(explicit or {}).get(region.name, {})}
        everything = inventory(root / template, region.name, parameters)
        images = inventory(root / IMAGES_TEMPLATE, region.name, {"SystemName": configuration.system.name})
        everything.resources |= {f"images-{name}": each for name, each in images.resources.items()}
        least = str(region.pool.minimum_tasks if region.pool else 0)
        counted = {"SchedulerIdleMinutes": idle, **parameters, "MinimumTasks": least}
        lines = tuple(
            Line(item.what, item.rest * price, item.load * price)
            for item in items(everything, counted, len(configuration.regions), usage)
            for price in [prices.of(item.price, region.name)]
        )
        made.append(Bill(region.name, "client" if region.client else "worker", lines))
    return made
