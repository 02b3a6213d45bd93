"""Publish ``datasets.yaml``: functions, scheduler and workers read it from the client Region's bucket."""

from __future__ import annotations

from dask_regions.deploy.plan import System
from dask_regions.deploy.sam import Say

__all__ = ["publish"]


def publish(system: System, say: Say) -> None:
    """Publish the configuration where the client Region's stack has a place for it."""
    say(f"{system.client}: {system.datasets.name} is part of functions and images")
