"""Preload module of the scheduler, for ``dask scheduler --preload``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.config

from dask_regions.placement import TASK_BASED
from dask_regions.placement.failures.links import watch_links
from dask_regions.placement.failures.watch import watch_pools
from dask_regions.placement.hooks import timeouts
from dask_regions.placement.hooks.replacing import overrides_of
from dask_regions.placement.hooks.scheduler.callbacks import add_plugin
from dask_regions.placement.hooks.scheduler.locality import keep_traffic_in_regions
from dask_regions.placement.hooks.scheduler.materialize import plan_arriving_graphs
from dask_regions.placement.hooks.scheduler.p2p import keep_p2p_in_regions
from dask_regions.placement.hooks.scheduler.plugin import PlacementPlugin
from dask_regions.placement.hooks.scheduler.queueing import queue_by_region
from dask_regions.placement.hooks.wire import deflate_between_regions
from dask_regions.placement.pools.activity import watch_activity
from dask_regions.placement.pools.publish import publish_demand
from dask_regions.settings import Settings

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler

__all__ = ["attach", "dask_setup", "detach"]


def dask_setup(scheduler: Scheduler) -> None:
    """Add placement to a scheduler, and publish its pools' demand where a system is configured.

    Environment: ``AWS_REGION`` (the client Region), ``NO_WORKERS_TIMEOUT`` (seconds), and ``CLIENT_REGION``
    with ``SYSTEM_NAME``, or ``DATASETS_FILE``: without either there are no pools to publish.
    """
    attach(scheduler, Settings.from_environment())


def attach(scheduler: Scheduler, settings: Settings) -> None:
    """Add placement to a scheduler that has not started to work.

    Parameters
    ----------
    scheduler
        Must be called on its event loop.
    settings
        Of which ``aws_region``, the client Region, and ``no_workers_timeout`` count.
    """
    dask.config.set(TASK_BASED)
    timeouts.set_defaults()
    timeouts.apply_to_scheduler(scheduler, settings.no_workers_timeout)
    plugin = PlacementPlugin(scheduler, settings.aws_region)
    add_plugin(scheduler, plugin, plugin.name)
    deflate_between_regions(overrides_of(scheduler), plugin.client_region, relays=True)
    plan_arriving_graphs(scheduler, plugin.client_region)
    watch_pools(scheduler, plugin.move)
    watch_links(scheduler)
    queue_by_region(scheduler)
    keep_traffic_in_regions(scheduler)
    keep_p2p_in_regions(scheduler)
    watch_activity(scheduler)
    publish_demand(scheduler)


def detach(scheduler: Scheduler) -> None:
    """Take placement from a scheduler without a restart: every attribute is Dask's own again.

    Tasks that are queued for a Region are sent to its workers at once, as Dask sends restricted tasks; no
    task loses the Region that it was placed in. This process's configuration of Dask stays.
    """
    overrides_of(scheduler).take_back()
