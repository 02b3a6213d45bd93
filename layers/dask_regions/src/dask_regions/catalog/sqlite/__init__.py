"""The embedded engine: a pointer file, and one SQLite file per generation of the catalog."""

from __future__ import annotations

from dask_regions.catalog.sqlite.catalog import SqliteCatalog

__all__ = ["SqliteCatalog"]
