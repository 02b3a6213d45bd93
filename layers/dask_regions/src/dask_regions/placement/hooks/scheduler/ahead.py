"""How far ahead a distant worker must be sent tasks, and how distant it is."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed.scheduler import WorkerState

__all__ = ["NEAR_SECONDS", "RoundTrips", "tasks_ahead"]

#: A worker with a shorter round trip is as near as Dask assumes; a busy loopback takes some milliseconds.
NEAR_SECONDS = 0.01
#: Number of round trips before one is believed: the first includes the worker's registration.
_MIN_SAMPLES = 3
#: Number of round trips to remember; the least of them counts, because all others waited for something.
_MAX_SAMPLES = 20
#: Largest number of tasks ahead per thread: so many a worker may have to give back when it dies.
_MAX_AHEAD_PER_THREAD = 32
#: Fraction of a worker's memory above which it gets no more ahead than Dask would send.
_CROWDED_FRACTION = 0.5
#: Shorter durations are noise of the clock.
_MIN_DURATION_SECONDS = 1e-4


def tasks_ahead(
    round_trip: float, duration: float, threads: int, memory: tuple[float, float], nbytes: float
) -> int:
    """Return how many tasks more than Dask would send keep a distant worker busy.

    Parameters
    ----------
    round_trip, duration
        Seconds to the worker and back, and of one task.
    threads
        Of the worker.
    memory
        Bytes in use and in total; a total of 0 means that it is not limited.
    nbytes
        Of one result; 0 where it is not known yet.

    Returns
    -------
    int
        0 for a near worker, and for one whose memory is half full. Otherwise as many as finish during a
        round trip, at most 32 per thread, and no more than fill half of the memory that is free.

    Examples
    --------
    >>> tasks_ahead(0.08, 0.02, 2, (0, 8e9), 1e6)
    8
    >>> tasks_ahead(0.08, 0.02, 2, (6e9, 8e9), 1e6)
    0
    """
    used, limit = memory
    if round_trip < NEAR_SECONDS or (limit and used > _CROWDED_FRACTION * limit):
        return 0
    needed = math.ceil(threads * round_trip / max(duration, _MIN_DURATION_SECONDS))
    ahead = min(needed, _MAX_AHEAD_PER_THREAD * threads)
    if limit and nbytes:
        ahead = min(ahead, int((limit - used) / 2 / nbytes))
    return ahead


class RoundTrips:
    """Seconds from the scheduler to each worker and back, as the workers' heartbeats measure it.

    A worker reports the latency of its last heartbeat with the next one
    (``Worker._update_latency``, distributed 2026.8.0).
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, deque[float]]] = {}

    def of(self, ws: WorkerState) -> float:
        """Return the shortest of the last round trips; 0 until there are three."""
        last, samples = self._seen.get(ws.address) or (0, deque(maxlen=_MAX_SAMPLES))
        # Every heartbeat brings a new dict, and the worker state holds it until the next.
        if id(ws.metrics) != last:
            latency = ws.metrics.get("digests_total_since_heartbeat", {}).get("latency")
            if latency is not None:
                samples.append(latency)
            self._seen[ws.address] = (id(ws.metrics), samples)
        return min(samples) if len(samples) >= _MIN_SAMPLES else 0.0

    def forget(self, address: str) -> None:
        """Forget a worker that left."""
        self._seen.pop(address, None)
