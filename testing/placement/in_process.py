"""A scheduler and workers of several Regions in the process of the test, which sees their state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from distributed import Client, Event, Scheduler, Worker

__all__ = ["start_client", "start_scheduler", "start_workers"]


@asynccontextmanager
async def start_scheduler(*parts: Callable[[Scheduler], object]) -> AsyncIterator[Scheduler]:
    """Run a scheduler with parts of placement; it checks its state after every transition and at the end."""
    address: dict[str, Any] = {"port": 0, "dashboard_address": ":0", "host": "127.0.0.1"}
    async with Scheduler(validate=True, **address) as scheduler:
        for part in parts:
            part(scheduler)
        yield scheduler
        scheduler.validate_state()


@asynccontextmanager
async def start_workers(scheduler: Scheduler, *regions: str) -> AsyncIterator[list[Worker]]:
    """Run a worker of one thread for every Region that is named."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                Worker(scheduler.address, nthreads=1, resources={f"region-{region}": 1.0}, host="127.0.0.1")
            )
            for region in regions
        ]


@asynccontextmanager
async def start_client(scheduler: Scheduler, *gates: str) -> AsyncIterator[Client]:
    """Connect a client, and set the events that tasks wait for at the end."""
    async with Client(scheduler.address, asynchronous=True) as client:
        yield client
        # A task that still waits for its event would keep its worker's thread.
        for gate in gates:
            await Event(gate, client=client).set()
