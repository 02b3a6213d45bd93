"""Have a worker tell the scheduler which other workers it cannot fetch from.

Dask's worker tries again for ever, and says nothing: it asks the scheduler who else has the result, and is
told the same worker (``WorkerState._handle_find_missing``, distributed 2026.8.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distributed.worker_state_machine import GatherDepNetworkFailureEvent, StateMachineEvent

from dask_regions.placement.hooks.replacing import overrides_of

if TYPE_CHECKING:
    from distributed.worker import Worker

__all__ = ["LINK_TOPIC", "report_failed_fetches"]

#: Topic of ``Worker.log_event`` on which a worker tells the scheduler that a fetch failed, or succeeds again.
LINK_TOPIC = "dask-regions-links"


def report_failed_fetches(worker: Worker) -> None:
    """Report every fetch that fails on the way, and the first that succeeds again.

    The events go to :data:`LINK_TOPIC`, with ``peer``, an address, and ``failed``.
    """
    stock = worker.gather_dep
    failing: set[str] = set()

    async def gather_dep(peer: str, *args: Any, **kwargs: Any) -> StateMachineEvent:
        event: StateMachineEvent = await stock(peer, *args, **kwargs)
        failed = isinstance(event, GatherDepNetworkFailureEvent)
        if failed:
            failing.add(peer)
            worker.log_event(LINK_TOPIC, {"peer": peer, "failed": True})
        elif peer in failing:
            failing.discard(peer)
            worker.log_event(LINK_TOPIC, {"peer": peer, "failed": False})
        return event

    overrides_of(worker).replace(worker, "gather_dep", gather_dep)
