"""Publish every pool's demand from the scheduler to CloudWatch, in the pool's own Region."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError
from distributed import Scheduler

from dask_regions.aws.cloudwatch import put_pool_metrics
from dask_regions.errors import ConfigurationError, UnavailableError
from dask_regions.models import Pool
from dask_regions.placement.hooks.scheduler.callbacks import call_every
from dask_regions.placement.pools.configured import is_configured, read_pools
from dask_regions.placement.pools.demand import measure
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
    read_pools
        Returns Region to bounds, in ECS tasks; called in a thread before each publication, and may block.
    damping
        How fast the pools follow their work.
    system
        Name of the system whose pools they are.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        read_pools: Callable[[], Mapping[str, Pool]],
        damping: Damping,
        system: str,
    ) -> None:
        self._scheduler, self._read_pools, self._damping = scheduler, read_pools, damping
        self._pools: Mapping[str, Pool] = {}
        self._system = system
        self._failures: dict[str, str] = {}
        self._configuration_failure = ""

    async def publish(self) -> None:
        """Publish once. Failures are logged when they change, and never raised."""
        await self.refresh()
        demands = measure(self._scheduler, self._pools)
        await asyncio.gather(*(self._publish_pool(demands[region]) for region in self._pools))

    async def refresh(self) -> None:
        """Read the pools; where that fails, those that were read before stay."""
        try:
            self._pools = await asyncio.to_thread(self._read_pools)
            failure = ""
        except (ConfigurationError, UnavailableError) as error:
            failure = str(error)
        if failure and failure != self._configuration_failure:
            logger.warning("The pools cannot be read, so that none scales; this looks again: %s", failure)
        self._configuration_failure = failure

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

    A configuration that is published later is picked up within a minute, without a restart.

    Returns
    -------
    Publisher or None
        None where neither ``DATASETS_FILE`` nor ``CLIENT_REGION`` is set: there are no pools then.

    Raises
    ------
    ConfigurationError
        Where ``DATASETS_FILE``, ``TARGET_DURATION`` or ``PUBLISH_SECONDS`` is wrong.
    """
    settings = Settings.from_environment()
    if not is_configured(settings):
        return None
    if settings.datasets_file is not None:
        read_pools(settings)  # a mistake in a file ends the scheduler at its start
    damping = Damping.from_settings(settings)
    publisher = Publisher(scheduler, partial(read_pools, settings), damping, settings.system_name)
    # The HTTP routes are asked for pools that have no workers yet, maybe before the first publication.
    scheduler.loop.add_callback(publisher.refresh)
    call_every(scheduler, _CALLBACK, publisher.publish, settings.publish_seconds)
    return publisher
