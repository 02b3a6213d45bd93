"""How far ahead a distant worker must be sent tasks, and how distant it is."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed.scheduler import WorkerState

__all__ = ["NEAR", "RoundTrips", "tasks_ahead"]

#: Seconds. Below it a worker is as near as Dask assumes; a busy loopback takes some milliseconds.
NEAR = 0.01
#: Round trips to have seen before one is believed: the first includes the worker's registration.
_SAMPLES = 3
#: Round trips to remember; the least of them counts, because all others were waiting for something.
_REMEMBERED = 20
#: Tasks ahead per thread at most: what a worker may have to give back when it dies.
_MOST_AHEAD = 32
#: Fraction of a worker's memory above which it gets no more ahead than Dask would send.
_CROWDED = 0.5
#: Seconds. Shorter durations than this are noise of the clock.
_SHORTEST = 1e-4


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
    if round_trip < NEAR or (limit and used > _CROWDED * limit):
        return 0
    ahead = min(math.ceil(threads * round_trip / max(duration, _SHORTEST)), _MOST_AHEAD * threads)
    if limit and nbytes:
        ahead = min(ahead, int((limit - used) / 2 / nbytes))
    return ahead


class RoundTrips:
    """Seconds from the scheduler to each worker and back, as the workers' heartbeats measure it.

    A worker reports the latency of its last heartbeat with the next one
    (``Worker._update_latency``, distributed/worker.py:1157).
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, deque[float]]] = {}

    def of(self, ws: WorkerState) -> float:
        """Return the shortest of the last round trips; 0 until there are three."""
        last, samples = self._seen.get(ws.address) or (0, deque(maxlen=_REMEMBERED))
        # Every heartbeat brings a new dict, and the worker state holds it until the next.
        if id(ws.metrics) != last:
            latency = ws.metrics.get("digests_total_since_heartbeat", {}).get("latency")
            if latency is not None:
                samples.append(latency)
            self._seen[ws.address] = (id(ws.metrics), samples)
        return min(samples) if len(samples) >= _SAMPLES else 0.0

    def forget(self, address: str) -> None:
        """Forget a worker that left."""
        self._seen.pop(address, None)
