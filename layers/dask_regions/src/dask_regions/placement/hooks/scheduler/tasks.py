"""What failures and pools ask of Dask's tasks beyond its public interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask._task_spec import DataNode

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler, TaskPrefix, TaskState

__all__ = ["forgive", "holds_data", "task_seconds"]


def task_seconds(scheduler: Scheduler, prefix: TaskPrefix) -> float:
    """Return the mean duration of the tasks of a prefix so far, or Dask's ``unknown-task-duration``."""
    seconds: float = scheduler._get_prefix_duration(prefix)
    return seconds


def holds_data(task: TaskState) -> bool:
    """Whether a task only holds a value, such as an array to read from, and computes nothing."""
    return isinstance(task.run_spec, DataNode)


def forgive(task: TaskState) -> None:
    """Take back that a task is suspected of the death of one worker."""
    if task.suspicious > 0:
        task.suspicious -= 1
