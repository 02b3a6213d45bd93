"""Placement: deciding in which Region's pool a Dask task runs.

:mod:`~dask_regions.placement.marker` marks the arrays, :mod:`~dask_regions.placement.payload` finds
the marks in a graph, :mod:`~dask_regions.placement.plan` decides, and
:mod:`~dask_regions.placement.plugin` tells the scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TASK_BASED"]

#: Dask configuration of client, scheduler and workers. P2P hands all output to the workers of one Region
#: (:mod:`~dask_regions.placement.shuffle`). Where an array's data come from several, the scheduler replaces
#: its rechunk; a DataFrame's shuffle cannot be replaced there: its keys would change.
TASK_BASED: Mapping[str, str] = {"dataframe.shuffle.method": "tasks"}
