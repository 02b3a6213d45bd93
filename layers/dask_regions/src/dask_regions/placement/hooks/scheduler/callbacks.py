"""Plugins of a scheduler and what it calls at intervals, each with the way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tornado.ioloop import PeriodicCallback

from dask_regions.placement.hooks.replacing import overrides_of

if TYPE_CHECKING:
    from distributed.diagnostics.plugin import SchedulerPlugin
    from distributed.scheduler import Scheduler

__all__ = ["add_plugin", "call_every"]


def add_plugin(scheduler: Scheduler, plugin: SchedulerPlugin, name: str) -> None:
    """Add a plugin until what was done to the scheduler is taken back."""
    scheduler.add_plugin(plugin, name=name)
    overrides_of(scheduler).on_take_back(scheduler.remove_plugin, name)


def call_every(
    scheduler: Scheduler, name: str, function: Callable[[], Awaitable[Any] | None], seconds: float
) -> None:
    """Call a function at intervals, until the scheduler closes or what was done to it is taken back.

    Parameters
    ----------
    scheduler
        On its event loop the function is called.
    name
        Of the callback among the scheduler's own; Dask stops all of them when it closes.
    function
        A coroutine function is awaited, and not called anew until it returns.
    seconds
        From one call to the next.
    """
    callback = PeriodicCallback(function, seconds * 1000)
    scheduler.periodic_callbacks[name] = callback
    scheduler.loop.add_callback(callback.start)
    overrides_of(scheduler).on_take_back(_stop_calling, scheduler, name)


def _stop_calling(scheduler: Scheduler, name: str) -> None:
    callback = scheduler.periodic_callbacks.pop(name, None)
    if callback is not None:
        callback.stop()
