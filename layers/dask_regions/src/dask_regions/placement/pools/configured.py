"""The pools of the configuration in force, as the scheduler last read it."""

from __future__ import annotations

from collections.abc import Mapping

from dask_regions.aws.configuration import load_configuration
from dask_regions.models import Pool
from dask_regions.settings import Settings

__all__ = ["configured_pools", "is_configured", "read_pools"]

_last_read: dict[str, Pool] = {}


def is_configured(settings: Settings) -> bool:
    """Return whether a scheduler has a system to look after: a cluster on one machine has none."""
    return settings.datasets_file is not None or settings.client_region is not None


def configured_pools() -> Mapping[str, Pool]:
    """Return the pools that were last read, Region to bounds; none before. It never blocks."""
    return dict(_last_read)


def read_pools(settings: Settings) -> Mapping[str, Pool]:
    """Read the pools of the configuration in force; it may block, about once a minute.

    Raises
    ------
    ConfigurationError, UnavailableError
        As :func:`dask_regions.aws.configuration.load_configuration` does; what was read before stays.
    """
    pools = load_configuration(settings).pools
    for region in _last_read.keys() - pools.keys():
        del _last_read[region]
    _last_read.update(pools)
    return pools
