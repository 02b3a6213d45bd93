"""How long scheduler, workers and clients wait for each other across Regions, in one place.

Dask's defaults are for one data centre: a frozen worker is given up after 5 to 10 minutes, a link that
drops every packet after 30 s. ``docs/decisions/0013-failures.md`` adds the times up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.config
import distributed  # noqa: F401  its own defaults have to be there, or they would replace these
from dask.utils import parse_timedelta

from dask_regions.placement.hooks.replacing import overrides_of

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler

__all__ = ["WAN", "apply_to_scheduler", "set_defaults"]

#: New defaults of Dask's configuration; what a user has set, in a file or the environment, wins.
WAN = {
    "distributed": {
        "comm": {
            "timeouts": {
                # A connection takes two round trips, 0.3 s to the other side of the Earth; the rest is for
                # a busy event loop.
                "connect": "15s",
                # Until the kernel gives up what is not acknowledged, and how long a silent connection is
                # probed. A link that drops packets for less goes unnoticed.
                "tcp": "20s",
            },
            # Requests that fail on the way, e.g. a heartbeat or a client's gather, are sent anew.
            "retry": {"count": 2},
        },
        # Heartbeats come every 0.5 to 2 s, from a thread of their own process: only a frozen process, or a
        # task that holds the GIL as long, is silent for a minute.
        "scheduler": {"worker-ttl": "60s"},
    }
}

# Dask looks only once per `worker-ttl`, and would take up to twice as long.
_LOOKS_PER_TTL = 6


def set_defaults() -> None:
    """Make :data:`WAN` this process's defaults. Connections that exist keep theirs."""
    dask.config.update_defaults(WAN)


def apply_to_scheduler(scheduler: Scheduler, no_workers_timeout: float | None = None) -> None:
    """Give a scheduler timeouts that it has read before preload modules run.

    Parameters
    ----------
    scheduler
        It gets the configured ``worker-ttl``, and looks for silent workers more often.
    no_workers_timeout
        Seconds that a task waits for an empty pool before it fails; as configured by default.
    """
    overrides = overrides_of(scheduler)
    if no_workers_timeout is not None:
        overrides.replace(scheduler, "no_workers_timeout", no_workers_timeout)
    ttl = parse_timedelta(dask.config.get("distributed.scheduler.worker-ttl"))
    overrides.replace(scheduler, "worker_ttl", ttl)
    callback = scheduler.periodic_callbacks.get("worker-ttl")
    if callback is not None and ttl:
        running = callback.is_running()
        callback.stop()
        overrides.replace(callback, "callback_time", ttl * 1000 / _LOOKS_PER_TTL)
        if running:
            callback.start()
