"""Preload module of workers, for ``dask worker --preload``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.config

from dask_regions.data.guard import enter_region
from dask_regions.placement import TASK_BASED
from dask_regions.placement.hooks import timeouts
from dask_regions.placement.hooks.replacing import overrides_of
from dask_regions.placement.hooks.wire import deflate_between_regions
from dask_regions.placement.hooks.worker.fetching import report_failed_fetches
from dask_regions.placement.hooks.worker.meter import log_all_transfers
from dask_regions.settings import Settings

if TYPE_CHECKING:
    from distributed.worker import Worker

__all__ = ["attach", "dask_setup", "dask_teardown", "detach"]


def dask_setup(worker: Worker) -> None:
    """Declare the Region of this worker's process, from ``AWS_REGION``."""
    attach(worker, Settings.from_environment().require("aws_region"))


def dask_teardown(worker: Worker) -> None:
    """Take the declaration back."""
    detach(worker)


def attach(worker: Worker, region: str) -> None:
    """Declare the Region of a worker's process, and let it log and report what the scheduler needs."""
    overrides = overrides_of(worker)
    overrides.on_take_back(enter_region, None)
    enter_region(region)
    deflate_between_regions(overrides, region)
    dask.config.set(TASK_BASED)
    timeouts.set_defaults()
    log_all_transfers(worker)
    report_failed_fetches(worker)


def detach(worker: Worker) -> None:
    """Give a worker every attribute back that was replaced. Its process's configuration of Dask stays."""
    overrides_of(worker).take_back()
