"""What the health check of workers uses of Dask's handshake."""

from __future__ import annotations

import asyncio
import logging

import psutil
import pytest
from distributed import Nanny, Scheduler
from distributed.utils_test import captured_logger

from dask_regions.names import NANNY_PORTS
from dask_regions.placement.processes import health
from testing.waiting import until

HEALTH = "look at placement/processes/health.py"


async def test_a_greeting_that_is_returned_completes_a_handshake_and_hanging_up_is_not_logged(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "tests.contract.test_health_hooks"
    monkeypatch.setattr(health, "_WORKER_MODULE", module)
    monkeypatch.setattr(
        health, "_command_line", lambda process: [module] * (process.pid == psutil.Process().pid)
    )
    port = f"{NANNY_PORTS[0]}:{NANNY_PORTS[1]}"
    async with Nanny(scheduler.address, host="127.0.0.1", port=port, nthreads=1) as nanny:
        with captured_logger("distributed.comm.tcp", level=logging.DEBUG) as log:
            assert NANNY_PORTS[0] <= nanny.port <= NANNY_PORTS[1], HEALTH
            await asyncio.to_thread(health.check_worker)
            await until(lambda: "Incoming connection" in log.getvalue(), "the connection")
            await asyncio.sleep(0.2)
        assert "closed before handshake completed" not in log.getvalue(), HEALTH
