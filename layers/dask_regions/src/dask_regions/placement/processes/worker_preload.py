"""Preload module of workers, for ``dask worker --preload``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import dask.config

from dask_regions.data.guard import enter_region
from dask_regions.placement import TASK_BASED
from dask_regions.placement.failures import links
from dask_regions.placement.hooks import timeouts, wire
from dask_regions.placement.hooks.worker import meter
from dask_regions.settings import Settings

if TYPE_CHECKING:
    from distributed.worker import Worker

__all__ = ["dask_setup", "dask_teardown"]

#: Transfers that a worker remembers; Dask's 1000 are one computation's. About 50 MB when full.
_TRANSFERS = 100_000


def dask_setup(worker: Worker) -> None:
    """Declare the Region of this worker's process, from ``AWS_REGION``."""
    region = Settings.from_environment().require("aws_region")
    enter_region(region)
    wire.install(region)
    dask.config.set(TASK_BASED)
    timeouts.set_defaults()
    worker.transfer_outgoing_log = deque(worker.transfer_outgoing_log, maxlen=_TRANSFERS)
    worker.transfer_incoming_log = deque(worker.transfer_incoming_log, maxlen=_TRANSFERS)
    meter.install(worker)
    links.report_failures(worker)


def dask_teardown(worker: Worker) -> None:  # noqa: ARG001  Dask calls it so
    """Take the declaration back."""
    enter_region(None)
    wire.install(None)
