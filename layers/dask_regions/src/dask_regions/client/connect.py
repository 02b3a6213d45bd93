"""Connect a notebook to the scheduler."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import dask.config
from distributed import Client, default_client

from dask_regions.errors import RequestError, UnavailableError
from dask_regions.names import POOL_TOPIC
from dask_regions.placement import TASK_BASED
from dask_regions.placement.hooks import timeouts

__all__ = ["connect", "current_client"]

logger = logging.getLogger(__name__)


def connect(
    scheduler_address: str, *, on_message: Callable[[str], object] | None = None, timeout: float = 30.0
) -> Client:
    """Connect to the scheduler of a system, and become the default client.

    Parameters
    ----------
    scheduler_address
        E.g. ``tcp://scheduler.internal:8786``; not the address of its web server.
    on_message
        Called, from the client's event loop, with a sentence when a pool that tasks wait for has no
        workers, and again when it has some. By default the sentence is logged as a warning by the
        logger ``dask_regions.client.connect``; without any logging set up, Python writes warnings to
        stderr, where a notebook shows them.
    timeout
        Seconds to wait for the scheduler.

    Returns
    -------
    distributed.Client

    Raises
    ------
    RequestError
        Where the address is none of a scheduler.
    UnavailableError
        Where no scheduler answers.

    Notes
    -----
    Sets options of Dask in this process. Always: ``dataframe.shuffle.method``, to ``tasks``, because P2P
    shuffles do not stay inside a Region. Where the user has not set them (the reasons are in
    :mod:`dask_regions.placement.hooks.timeouts`): ``distributed.comm.timeouts.connect``,
    ``distributed.comm.timeouts.tcp``, ``distributed.comm.retry.count``, and
    ``distributed.scheduler.worker-ttl``, which only a scheduler in this process reads.

    Examples
    --------
    >>> client = connect("tcp://scheduler.internal:8786")  # doctest: +SKIP
    """
    dask.config.set(TASK_BASED)
    timeouts.set_defaults()
    try:
        client = Client(scheduler_address, timeout=timeout)
    except (OSError, TimeoutError) as error:
        raise UnavailableError(
            f"no scheduler answers at {scheduler_address}; check the address, or start the system "
            "(on one machine: dask-regions local)"
        ) from error
    except ValueError as error:
        raise RequestError(
            "scheduler_address",
            f"{scheduler_address!r}: {error}; write it like tcp://scheduler.internal:8786",
        ) from error
    tell = on_message or logger.warning

    def show(event: tuple[float, Mapping[str, Any]]) -> None:
        tell(event[1]["message"])

    client.subscribe_topic(POOL_TOPIC, show)
    return client


def current_client(client: Client | None) -> Client:
    """Return the client, or the default one.

    Raises
    ------
    UnavailableError
        Where there is none.
    RequestError
        Where it is asynchronous.
    """
    if client is None:
        try:
            client = default_client()
        except ValueError as error:
            raise UnavailableError(
                "there is no client; connect first: client = dask_regions.connect(scheduler_address)"
            ) from error
    if client.asynchronous:
        raise RequestError("client", "it is asynchronous; give one from dask_regions.connect")
    return client
