"""The Regions of AWS, as this version of botocore lists them: no request is made."""

from __future__ import annotations

from functools import cache

from botocore.session import Session

__all__ = ["known_regions"]


@cache
def known_regions() -> frozenset[str]:
    """Return the names of all Regions, of every partition."""
    session = Session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    )
