"""P2P rechunk and shuffle: inside one Region as Dask does it, across Regions by tasks.

P2P hands its output to every worker, or to those that the *barrier* is restricted to by address
(``ShuffleSchedulerPlugin._calculate_worker_for``), and looks at no resources: a rechunk inside one Region
would wait for ever for output tasks that may not run where their data are. Here it is made to choose
among the workers of the barrier's Region, each time that a run starts, so that later joiners count and a
worker that died does not. Rechunks of several Regions are replaced before:
:mod:`dask_regions.placement.planning.rechunk`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from distributed.shuffle._core import barrier_key
from distributed.shuffle._exceptions import P2PConsistencyError

from dask_regions.names import region_resource
from dask_regions.placement.hooks.replacing import overrides_of
from dask_regions.placement.planning.cluster import region_of_task

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler
    from distributed.shuffle._core import ShuffleSpec

__all__ = ["keep_p2p_in_regions"]


def keep_p2p_in_regions(scheduler: Scheduler) -> None:
    """Let P2P choose among the workers of the barrier's Region."""
    plugin = scheduler.extensions.get("shuffle")
    if plugin is None:
        return
    stock: Callable[[ShuffleSpec[Any]], dict[Any, str]] = plugin._calculate_worker_for

    def calculate_worker_for(spec: ShuffleSpec[Any]) -> dict[Any, str]:
        barrier = scheduler.tasks[barrier_key(spec.id)]
        region = region_of_task(barrier)
        if region is None or barrier.worker_restrictions:
            return stock(spec)
        barrier.worker_restrictions = _workers(scheduler, region)
        try:
            return stock(spec)
        finally:
            barrier.worker_restrictions = None

    overrides_of(scheduler).replace(plugin, "_calculate_worker_for", calculate_worker_for)


def _workers(scheduler: Scheduler, region: str) -> set[str]:
    """Return the addresses of a Region's workers, without those that are leaving where there are others."""
    members = set(scheduler.resources.get(region_resource(region), ()))
    if not members:
        raise P2PConsistencyError(
            f"pool {region} has no workers to receive a P2P shuffle; "
            f"scale it with: dask-regions scale {region} 1"
        )
    running = {ws.address for ws in scheduler.running}
    return members & running or members
