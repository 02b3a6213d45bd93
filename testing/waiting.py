"""Waiting for what must come, however slow the machine is."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["WAIT_SECONDS", "message_with", "until", "wait_until"]

#: It only ends a test that would never end, below pytest's own limit, and says what did not come.
WAIT_SECONDS = 300.0
_T = TypeVar("_T")


def wait_until(
    condition: Callable[[], _T], what: Callable[[], object] | str = "it", each_seconds: float = 0.05
) -> _T:
    """Wait until a condition holds.

    Parameters
    ----------
    condition
        Called again and again until what it returns is true.
    what
        Is waited for; or what to call for a description of it, such as a log, when it did not come.
    each_seconds
        How long to wait between two calls.

    Returns
    -------
    object
        What the condition returned.

    Raises
    ------
    AssertionError
        Where it did not hold within :data:`WAIT_SECONDS`.
    """
    end = time.monotonic() + WAIT_SECONDS
    while not (result := condition()):
        assert time.monotonic() < end, _missing(what)
        time.sleep(each_seconds)
    return result


async def until(condition: Callable[[], _T], what: Callable[[], object] | str = "it") -> _T:
    """Let the event loop work until a condition holds, as :func:`wait_until` does."""
    end = time.monotonic() + WAIT_SECONDS
    while not (result := condition()):
        assert time.monotonic() < end, _missing(what)
        await asyncio.sleep(0.005)
    return result


def message_with(messages: queue.Queue[str], text: str) -> str:
    """Return the first message that holds a text, and drop those before it.

    A busy machine is silent for a while, which the user is told of any pool, rightly.
    """
    while text not in (message := messages.get(timeout=WAIT_SECONDS)):
        pass
    return message


def _missing(what: Callable[[], object] | str) -> str:
    return f"{what() if callable(what) else what}: did not come in {WAIT_SECONDS:.0f} s"
