"""Write into a worker's transfer log what Dask leaves out, so that one log tells all that crosses.

Dask logs the results of tasks that workers and clients fetch. Shards of P2P shuffles
(distributed/shuffle/_core.py:212) and data that a client scatters to a worker travel by calls of their
own; here, each becomes an entry of the same shape. :mod:`dask_regions.client.transfers` reads the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from dask.sizeof import sizeof
from distributed.metrics import time
from distributed.shuffle._core import ShuffleRun

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.worker import Worker

__all__ = ["install"]

#: Workers of this process by address: a shuffle knows its worker's address only.
_workers: WeakValueDictionary[str, Worker] = WeakValueDictionary()


def install(worker: Worker) -> None:
    """Log the shards that a worker sends, and the data that are scattered to it; once per worker."""
    worker.handlers["update_data"] = _logged(worker, worker.handlers["update_data"])
    _workers[worker.address] = worker
    if not hasattr(ShuffleRun._send, "__wrapped__"):
        ShuffleRun._send = _logged_shards(ShuffleRun._send)  # type: ignore[method-assign]


def _logged(worker: Worker, update_data: Callable[..., Any]) -> Callable[..., Any]:
    """Return the handler that a client, or the scheduler for it, calls to scatter data to a worker.

    A client inside a task on the same worker calls the method instead: nothing travels.
    """

    @wraps(update_data)
    def handler(data: dict[Key, object], **options: Any) -> Any:
        started = time()
        answer = update_data(data=data, **options)
        entry = _entry(worker, started, None, answer["nbytes"], sum(answer["nbytes"].values()))
        worker.transfer_incoming_log.append(entry)
        return answer

    return handler


def _logged_shards(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    async def logged(run: Any, address: str, shards: Any) -> Any:
        started = time()
        answer = await send(run, address, shards)
        worker = _workers.get(run.local_address)
        if worker is not None and address != run.local_address:
            # Small shards are one blob of bytes, large ones a list of (partition, shard).
            nbytes = len(shards) if isinstance(shards, bytes) else sum(sizeof(shard) for _, shard in shards)
            worker.transfer_outgoing_log.append(_entry(worker, started, address, {}, nbytes))
        return answer

    return logged


def _entry(
    worker: Worker, started: float, who: str | None, keys: Mapping[Key, int], nbytes: int
) -> dict[str, Any]:
    """Return an entry as Dask writes them (distributed/worker.py:1710): its dashboard reads them too."""
    stopped = time()
    duration = max(0.001, stopped - started)
    return {
        "start": started + worker.scheduler_delay,
        "stop": stopped + worker.scheduler_delay,
        "middle": (started + stopped) / 2 + worker.scheduler_delay,
        "duration": duration,
        "who": who,
        "keys": dict(keys),
        "total": nbytes,
        "compressed": nbytes,
        "bandwidth": nbytes / duration,
    }
