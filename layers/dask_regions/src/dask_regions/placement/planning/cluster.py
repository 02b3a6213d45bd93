"""The cluster as a plan sees it, and the Regions of its workers and tasks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask.typing import Key

from dask_regions.names import region_of_resource

if TYPE_CHECKING:
    from distributed.scheduler import TaskState, WorkerState

__all__ = ["ClusterState", "region_of_task", "region_of_worker"]


def region_of_worker(worker: WorkerState) -> str | None:
    """Return the Region of a worker's pool, or None where it belongs to none."""
    return next(filter(None, map(region_of_resource, worker.resources or ())), None)


def region_of_task(task: TaskState) -> str | None:
    """Return the Region that a task is restricted to, or None."""
    return next(filter(None, map(region_of_resource, task.resource_restrictions or ())), None)


@dataclass(frozen=True)
class ClusterState:
    """A cluster at the moment that a graph arrives, as far as a plan depends on it.

    It is no scheduler: planning asks it, and changes nothing through it. What it tells may be a moment
    old, which makes a plan worse, not wrong.

    Attributes
    ----------
    client_region
        Region of scheduler and client; results are delivered to it.
    alive
        Regions whose pools have workers.
    known
        Keys that the scheduler has, of this and of earlier graphs.
    region_of
        Region of a known key's result, or where it will be; None where any worker may have it.
    nbytes
        Bytes of a known key's result, None where it has none yet.
    """

    client_region: str = "client"
    alive: frozenset[str] = frozenset()
    known: Collection[Key] = frozenset()
    region_of: Callable[[Key], str | None] = lambda _: None
    nbytes: Callable[[Key], float | None] = lambda _: None
