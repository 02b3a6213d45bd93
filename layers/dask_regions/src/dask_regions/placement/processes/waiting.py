"""Wait for a scheduler that is not there yet: a Region may be deployed before the client Region.

Dask's worker gives up after a minute. ECS would start the task anew again and again, and its deployment
circuit breaker would take the deployment back.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

__all__ = ["obstacle", "wait_for_scheduler"]

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 10.0
_SECONDS_BETWEEN_MESSAGES = 60.0


def obstacle(address: str) -> str:
    """Return what keeps this process from a scheduler, with the cure, or ``""`` where it accepts connections.

    Parameters
    ----------
    address
        For example ``tcp://scheduler.dask-regions.internal:8786``.
    """
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 0
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except socket.gaierror as error:
        return (
            f"{host} does not resolve ({error.strerror}): the client Region is not deployed, or this Region "
            "is not joined with it yet; deploy the client Region, and see the last execution of join_regions "
            "there"
        )
    except OSError as error:
        return (
            f"{host} does not answer on port {port} ({error}): the scheduler is starting or stopped, or no "
            "route leads to it; see its service in the client Region, and the last execution of join_regions "
            "there"
        )
    return ""


def wait_for_scheduler(
    address: str,
    *,
    look: Callable[[str], str] = obstacle,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when a scheduler accepts connections; once a minute, log what keeps this process from it.

    SIGTERM ends the process meanwhile. ECS's health check takes a process that waits for healthy, since it
    listens nowhere.

    Parameters
    ----------
    address
        Of the scheduler.
    look, clock, sleep
        What keeps this process from the scheduler, seconds of a clock, and how to pause: for tests.
    """
    pause, next_message = _FIRST_PAUSE_SECONDS, clock()
    with _ended_by_sigterm():
        while reason := look(address):
            if clock() >= next_message:
                next_message += _SECONDS_BETWEEN_MESSAGES
                logger.warning("This worker waits for the scheduler: %s", reason)
            sleep(pause)
            pause = min(_LONGEST_PAUSE_SECONDS, 1.5 * pause)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    # The first process of a container gets no default handler from the kernel.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
