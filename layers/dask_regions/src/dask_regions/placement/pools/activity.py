"""Whether anybody uses a scheduler, and since when nobody does.

Dask's own ``Scheduler.check_idle`` counts neither connected clients nor results that somebody holds, and
ends the scheduler. Here it is only noted: the function ``watch_scheduler`` stops the ECS service.
"""

from __future__ import annotations

from dataclasses import dataclass

from distributed import Scheduler
from distributed.metrics import monotonic

from dask_regions.placement.hooks.scheduler.callbacks import call_every
from dask_regions.scaling import SchedulerActivity

__all__ = ["activity_of", "watch_activity"]

_CALLBACK = "dask-regions-activity"
#: Key in ``Scheduler.extensions`` of the last use.
_EXTENSION = "dask-regions-activity"
_LOOK_SECONDS = 10.0
#: Dask's own client for results that nobody asked to keep.
_NOBODY = "fire-and-forget"


@dataclass
class _LastUse:
    """When a scheduler was last used, in seconds of the monotonic clock; it lives with its scheduler."""

    seconds: float


def watch_activity(scheduler: Scheduler) -> None:
    """Note every ten seconds whether the scheduler is used, until it closes."""
    _look(scheduler)
    call_every(scheduler, _CALLBACK, lambda: _look(scheduler), _LOOK_SECONDS)


def activity_of(scheduler: Scheduler) -> SchedulerActivity:
    """Return whether the scheduler is used; must be called on its event loop."""
    _look(scheduler)
    return SchedulerActivity(
        clients=_clients(scheduler),
        tasks=len(scheduler.tasks),
        idle_seconds=max(0.0, monotonic() - _last_use(scheduler).seconds),
    )


def _look(scheduler: Scheduler) -> None:
    last = _last_use(scheduler)
    if _clients(scheduler) > 0 or scheduler.tasks:
        last.seconds = monotonic()


def _last_use(scheduler: Scheduler) -> _LastUse:
    """Return the last use that was noted; the first look counts as a use."""
    last: _LastUse = scheduler.extensions.setdefault(_EXTENSION, _LastUse(monotonic()))
    return last


def _clients(scheduler: Scheduler) -> int:
    return len(scheduler.clients.keys() - {_NOBODY})
