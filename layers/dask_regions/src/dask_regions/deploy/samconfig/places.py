"""Places of buckets among a file system's eight associations: kept, because CloudFormation goes by place.

A bucket in another place is another association at the same path, and FSx refuses it while the former is
there: the update would fail and be taken back.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

__all__ = ["earlier_places", "places"]

_PARAMETER = "DatasetBuckets"


def places(buckets: Sequence[str], earlier: str) -> str:
    """Return the buckets in their earlier places; new ones take free places first.

    Parameters
    ----------
    buckets
        Names of the buckets that the file system shows, new ones in the order that they get; repeated or not.
    earlier
        Comma separated, as returned before; a place that is free is empty.

    Examples
    --------
    >>> places(["cmip6", "a-new-one", "era5"], "era5,gone,cmip6")
    'era5,a-new-one,cmip6'
    >>> places(["cmip6"], "era5,cmip6")
    ',cmip6'
    """
    kept = [name if name in buckets else "" for name in earlier.split(",")]
    for bucket in buckets:
        if bucket in kept:
            continue
        if "" in kept:
            kept[kept.index("")] = bucket
        else:
            kept.append(bucket)
    return ",".join(kept).rstrip(",")


def earlier_places(samconfig: Path, environment: str) -> str:
    """Return the places that ``samconfig.toml`` has for an environment now; ``""`` where it has none."""
    if not samconfig.is_file():
        return ""
    parameters = tomllib.loads(samconfig.read_text(encoding="utf-8")).get(environment, {}).get("deploy", {})
    overrides = parameters.get("parameters", {}).get("parameter_overrides", [])
    values = dict(override.split("=", 1) for override in overrides)
    return str(values.get(_PARAMETER, "")).strip('"')
