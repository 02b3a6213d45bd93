"""Preload module of a scheduler under test: write down each task's inputs, marks, size and Region.

It shares no code with placement. Marks are found by pickling a task, which visits all that it holds, and not
by the walk that placement uses; so that what that walk misses is seen here.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import cloudpickle  # type: ignore[import-untyped]
from dask._task_spec import DataNode
from distributed import SchedulerPlugin

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Scheduler

__all__ = ["Watch", "dask_setup"]

_POOL = "region-"


class _Finder(cloudpickle.Pickler):  # type: ignore[misc]
    """Collect the Regions of the marked objects in what is pickled."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())
        self.regions: set[str] = set()

    def persistent_id(self, obj: Any) -> str | None:
        region = getattr(obj, "__dict__", {}).get("__dask_region__")
        if region is None or isinstance(obj, type):
            return None
        self.regions.update([region] if isinstance(region, str) else region)
        return "marked"


class Watch(SchedulerPlugin):
    """Record graphs as they arrive and tasks as they finish.

    Attributes
    ----------
    tasks
        Task to its record, in order of arrival: ``inputs`` (keys), ``marks`` (Regions of the arrays that it
        holds), ``data`` (whether it only holds a value), ``wanted`` (whether a client asked for it),
        ``restricted`` (whether to a resource, such as a Region), and once it has finished ``nbytes``,
        ``worker`` (its address) and ``region`` (None outside every pool).
    """

    name = "watch"

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.tasks: dict[Key, dict[str, Any]] = {}

    def update_graph(self, scheduler: Scheduler, *, keys: set[Key], tasks: list[Key], **_: Any) -> None:
        for key in tasks:
            task = scheduler.tasks[key]
            if task.run_spec is None:
                self._scattered(task)
            if task.run_spec is None or task.state == "memory":
                continue
            finder = _Finder()
            finder.dump(task.run_spec)
            self.tasks[key] = {
                "inputs": [dependency.key for dependency in task.dependencies],
                "marks": sorted(finder.regions),
                "data": isinstance(task.run_spec, DataNode),
                "wanted": key in keys,
                "restricted": bool(task.resource_restrictions),
            }

    def _scattered(self, task: Any) -> None:
        """Record data that a client sent to a worker as a task that read them there."""
        worker = next(iter(task.who_has or ()), None)
        if worker is None:
            return
        region = _pool(worker)
        self.tasks[task.key] = {
            "inputs": [],
            "marks": [region] if region else [],
            "data": False,
            "wanted": False,
            "restricted": False,
            "nbytes": task.get_nbytes(),
            "worker": worker.address,
            "region": region,
        }

    def transition(self, key: Key, start: str, finish: str, *_: Any, **more: Any) -> None:
        if finish == "memory" and key in self.tasks and (worker := more.get("worker")):
            self.tasks[key] |= {
                "nbytes": self._scheduler.tasks[key].get_nbytes(),
                "worker": worker,
                "region": _pool(self._scheduler.workers[worker]),
            }


def _pool(worker: Any) -> str | None:
    pools = (name.removeprefix(_POOL) for name in worker.resources if name.startswith(_POOL))
    return next(pools, None)


def dask_setup(scheduler: Scheduler) -> None:
    scheduler.add_plugin(Watch(scheduler))
