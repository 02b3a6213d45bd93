"""Placement: deciding in which Region's pool a Dask task runs.

:mod:`~dask_regions.placement.marker` marks the arrays, :mod:`~dask_regions.placement.payload` finds
the marks in a graph, :mod:`~dask_regions.placement.plan` decides, and
:mod:`~dask_regions.placement.plugin` tells the scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TASK_BASED"]

#: Dask configuration of client, scheduler and workers. P2P shuffles hand their output to every
#: worker, or to the *barrier's* worker restrictions (distributed/shuffle/_scheduler_plugin.py:279),
#: and ignore resources: a rechunk inside one Region hangs.
TASK_BASED: Mapping[str, str] = {
    "array.rechunk.method": "tasks",
    "dataframe.shuffle.method": "tasks",
}
