"""Placement: deciding in which Region's pool a Dask task runs.

:mod:`~dask_regions.data.array` marks the arrays, :mod:`~dask_regions.placement.planning.payload` finds
the marks in a graph, :mod:`~dask_regions.placement.planning.plan` decides, and
:mod:`~dask_regions.placement.hooks.scheduler.plugin` tells the scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TASK_BASED"]

#: Dask configuration of client, scheduler and workers. P2P hands all output to the workers of one Region
#: (``hooks/scheduler/p2p.py``). Where an array's data come from several, the scheduler replaces
#: its rechunk; a DataFrame's shuffle cannot be replaced there: its keys would change.
TASK_BASED: Mapping[str, str] = {"dataframe.shuffle.method": "tasks"}
