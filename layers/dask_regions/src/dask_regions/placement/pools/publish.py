"""Publish every pool's demand from the scheduler to CloudWatch, in the pool's own Region."""

from __future__ import annotations

import asyncio
import logging

from botocore.exceptions import BotoCoreError, ClientError
from distributed import Scheduler

from dask_regions.aws.cloudwatch import put_pool_metrics
from dask_regions.models import Pool
from dask_regions.placement.hooks.scheduler.callbacks import call_every
from dask_regions.placement.pools.demand import configured_pools, measure
from dask_regions.scaling import Damping, PoolDemand, difference
from dask_regions.settings import Settings

__all__ = ["Publisher", "publish_demand"]

logger = logging.getLogger(__name__)

_CALLBACK = "dask-regions-publish"


class Publisher:
    """Publishes the pools of one scheduler; a Region that does not take its numbers harms no other.

    Parameters
    ----------
    scheduler
        Measured on its event loop; the requests run in threads.
    pools
        Region to bounds, in ECS tasks.
    damping
        How fast the pools follow their work.
    system
        Name of the system whose pools they are.
    """

    def __init__(self, scheduler: Scheduler, pools: dict[str, Pool], damping: Damping, system: str) -> None:
        self._scheduler, self._pools, self._damping = scheduler, pools, damping
        self._system = system
        self._failures: dict[str, str] = {}

    async def publish(self) -> None:
        """Publish once. Failures are logged when they change, and never raised."""
        demands = measure(self._scheduler, self._pools)
        await asyncio.gather(*(self._publish_pool(demands[region]) for region in self._pools))

    async def _publish_pool(self, demand: PoolDemand) -> None:
        region = demand.region
        numbers = difference(demand, self._pools[region], self._damping)
        try:
            await asyncio.to_thread(put_pool_metrics, self._system, region, numbers, demand.memory_fraction)
        except (BotoCoreError, ClientError) as error:
            self._note(region, str(error))
        else:
            self._note(region, "")

    def _note(self, region: str, failure: str) -> None:
        if failure == self._failures.get(region, ""):
            return
        self._failures[region] = failure
        if failure:
            logger.warning(
                "The demand of pool %s cannot be published, so it does not scale: %s", region, failure
            )
        else:
            logger.info("The demand of pool %s is published again", region)


def publish_demand(scheduler: Scheduler) -> Publisher | None:
    """Publish every ``PUBLISH_SECONDS`` (default 10) until the scheduler closes.

    Returns
    -------
    Publisher or None
        None where ``DATASETS_FILE`` is not set: there are no pools then.

    Raises
    ------
    ConfigurationError
        Where ``DATASETS_FILE``, ``TARGET_DURATION`` or ``PUBLISH_SECONDS`` is wrong.
    """
    pools = configured_pools()
    if not pools:
        return None
    settings = Settings.from_environment()
    publisher = Publisher(scheduler, pools, Damping.from_settings(settings), settings.system_name)
    call_every(scheduler, _CALLBACK, publisher.publish, settings.publish_seconds)
    return publisher
