"""Run a function on a worker of a Region, from an event loop that is not the client's.

Zarr runs its stores on an event loop of its own, in a thread of its own. What a store of another Region
needs done is submitted on the client's event loop; Zarr's waits for it without blocking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from distributed import default_client
from distributed.scheduler import NoValidWorkerError, NoWorkerError

from dask_regions.errors import EmptyPoolError, UnavailableError
from dask_regions.names import region_resource

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["forward"]

P = ParamSpec("P")
T = TypeVar("T")

#: A client whose event loop does not take up work for so long is reported: it stands still in the very
#: call that waits for it.
_STANDSTILL_SECONDS = 30.0
#: Somebody waits at a prompt for these; they take milliseconds.
_PRIORITY = 100


async def forward(region: str, what: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread of a worker of a Region, and return its result.

    Parameters
    ----------
    region
        Region whose pool runs it. While the pool is empty the call waits, like any other task.
    what
        Names the data in errors.
    function, args, kwargs
        As ``Client.submit`` takes them.

    Raises
    ------
    UnavailableError
        Where this process has no client, the client is closed meanwhile, or its event loop stands still.
    EmptyPoolError
        Where the pool stayed empty until the scheduler's timeout.
    """
    client = _client(region, what)
    started: Future[None] = Future()
    running = asyncio.run_coroutine_threadsafe(
        _submit(client, started, region, function, args, kwargs), _event_loop(client)
    )
    try:
        await asyncio.wait_for(asyncio.wrap_future(started), _STANDSTILL_SECONDS)
    except TimeoutError as error:
        running.cancel()
        raise UnavailableError(
            f"{what} is in Region {region}, and the Dask client is blocked by the call that waits for it; "
            "with an asynchronous client, call it in a thread: await asyncio.to_thread(xr.open_zarr, store)"
        ) from error
    try:
        result: T = await asyncio.wrap_future(running)
    except (NoValidWorkerError, NoWorkerError) as error:
        raise EmptyPoolError(
            f"nobody could reach {what}: pool {region} has no workers. "
            f"Scale it with: dask-regions scale {region} 1"
        ) from error
    except (CancelledError, asyncio.CancelledError) as error:
        raise UnavailableError(
            f"the client was closed while {what} was reached in Region {region}; connect again: "
            "dask_regions.connect(scheduler_address)"
        ) from error
    return result


def _client(region: str, what: str) -> Client:
    try:
        client: Client = default_client()
    except ValueError as error:
        raise UnavailableError(
            f"{what} is in Region {region}, and there is no client to reach it; connect first: "
            "client = dask_regions.connect(scheduler_address)"
        ) from error
    return client


def _event_loop(client: Client) -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop  # type: ignore[union-attr]
    return loop


async def _submit(
    client: Client,
    started: Future[None],
    region: str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    started.set_result(None)
    # Not pure: what a store holds changes.
    return await client.submit(
        function, *args, pure=False, priority=_PRIORITY, resources={region_resource(region): 0}, **kwargs
    )
