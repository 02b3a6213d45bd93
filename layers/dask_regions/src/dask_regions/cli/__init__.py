"""The command ``dask-regions``."""

from __future__ import annotations

from dask_regions.cli.main import main

__all__ = ["main"]
