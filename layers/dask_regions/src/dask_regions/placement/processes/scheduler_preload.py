"""Preload module of the scheduler, for ``dask scheduler --preload``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.config

from dask_regions.placement import TASK_BASED
from dask_regions.placement.failures import links, watch
from dask_regions.placement.hooks import timeouts, wire
from dask_regions.placement.hooks.scheduler import locality, materialize, p2p, queueing
from dask_regions.placement.hooks.scheduler.plugin import PlacementPlugin
from dask_regions.placement.pools import publish
from dask_regions.settings import Settings

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler

__all__ = ["dask_setup"]


def dask_setup(scheduler: Scheduler) -> None:
    """Add placement to a scheduler, and publish its pools' demand where a system is configured.

    Environment: ``AWS_REGION`` (the client Region), ``NO_WORKERS_TIMEOUT`` (seconds), and
    ``DATASETS_FILE``, without which there are no pools to publish.
    """
    settings = Settings.from_environment()
    dask.config.set(TASK_BASED)
    timeouts.set_defaults()
    timeouts.apply_to_scheduler(scheduler)
    # The scheduler has read its configuration before preload modules run.
    scheduler.no_workers_timeout = settings.no_workers_timeout
    plugin = PlacementPlugin(scheduler, settings.aws_region)
    scheduler.add_plugin(plugin)
    wire.install(plugin.client_region, relays=True)
    materialize.install(scheduler, plugin.client_region)
    watch.install(scheduler, plugin.move)
    links.install(scheduler)
    queueing.install(scheduler)
    locality.install(scheduler)
    p2p.install(scheduler)
    publish.start(scheduler)
