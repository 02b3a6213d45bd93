"""Write into a worker's transfer log what Dask leaves out, so that one log tells all that crosses.

Dask logs the results of tasks that workers and clients fetch. Shards of P2P shuffles
(``ShuffleRun._send``) and data that a client scatters to a worker travel by calls of their
own; here, each becomes an entry of the same shape. :mod:`dask_regions.client.transfers` reads the log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from dask.sizeof import sizeof
from distributed.metrics import time
from distributed.shuffle._core import ShuffleRun

from dask_regions.placement.hooks.replacing import overrides_of

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.worker import Worker

__all__ = ["log_all_transfers"]

#: Transfers that a worker remembers; Dask's 1000 are one computation's. About 50 MB when full.
_MAX_TRANSFERS = 100_000

#: Workers of this process by address: a shuffle knows its worker's address only.
_workers: WeakValueDictionary[str, Worker] = WeakValueDictionary()


def log_all_transfers(worker: Worker) -> None:
    """Log the shards that a worker sends and the data that are scattered to it, and let the logs be long."""
    overrides = overrides_of(worker)
    for log in ("transfer_outgoing_log", "transfer_incoming_log"):
        overrides.replace(worker, log, deque(getattr(worker, log), maxlen=_MAX_TRANSFERS))
    update_data = worker.handlers["update_data"]
    overrides.replace(worker, "handlers", _logged(worker, update_data), key="update_data")
    _workers[worker.address] = worker
    overrides.on_take_back(_workers.pop, worker.address, None)
    overrides.replace(ShuffleRun, "_send", _send_logged)


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


_send: Callable[..., Any] = ShuffleRun._send


@wraps(_send)
async def _send_logged(run: Any, address: str, shards: Any) -> Any:
    started = time()
    answer = await _send(run, address, shards)
    worker = _workers.get(run.local_address)
    if worker is not None and address != run.local_address:
        # Small shards are one blob of bytes, large ones a list of (partition, shard).
        nbytes = len(shards) if isinstance(shards, bytes) else sum(sizeof(shard) for _, shard in shards)
        worker.transfer_outgoing_log.append(_entry(worker, started, address, {}, nbytes))
    return answer


def _entry(
    worker: Worker, started: float, who: str | None, keys: Mapping[Key, int], nbytes: int
) -> dict[str, Any]:
    """Return an entry as Dask writes them (``Worker.get_data``): its dashboard reads them too."""
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
