"""Empty ECS tasks before they are stopped, so that no result is lost.

``Scheduler.retire_workers`` is not used: it has no timeout (distributed#6252), it moves results to
any worker of any Region, and it removes the worker, which then ends itself, so that ECS starts a
replacement before the count is lowered. Retired workers stay connected, take no work, hold nothing
that is not held elsewhere, and wait to be stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from itertools import chain
from time import time

from distributed import Scheduler
from distributed.active_memory_manager import RetireWorker, SuggestionGenerator
from distributed.core import Status
from distributed.scheduler import WorkerState

from dask_regions.placement.pools.demand import workers_by_ecs_task

__all__ = ["REINSTATE_SECONDS", "RETIRE_SECONDS", "Retirements", "retire", "retirements_of"]

logger = logging.getLogger(__name__)

#: Seconds in which the workers must finish what they execute and hand over what they hold.
RETIRE_SECONDS = 120.0
#: Seconds after which retired workers that nobody stopped take work again.
REINSTATE_SECONDS = 300.0

_POLL_SECONDS = 0.25
#: Key of :class:`Retirements` in ``Scheduler.extensions``. A plugin would cost a call per transition.
_EXTENSION = "dask-regions-retirements"


class Retirements:
    """Which workers of a scheduler are retired, and by which request.

    Attributes
    ----------
    requests
        Address of a retired worker to its latest request: only that one's timer reinstates it.
    """

    def __init__(self) -> None:
        self.requests: dict[str, object] = {}

    def begin(self, workers: Iterable[WorkerState]) -> object:
        """Note a request to retire workers, which overtakes earlier ones, and return it."""
        request = object()
        self.requests.update({ws.address: request for ws in workers})
        return request

    def end(self, workers: Iterable[WorkerState], request: object) -> list[WorkerState]:
        """Forget a request, and return the workers that no later one has retired again."""
        ended = [ws for ws in workers if self.requests.get(ws.address) is request]
        for ws in ended:
            del self.requests[ws.address]
        return ended


def retirements_of(scheduler: Scheduler) -> Retirements:
    """Return a scheduler's retirements; they live as long as it does."""
    retirements: Retirements = scheduler.extensions.setdefault(_EXTENSION, Retirements())
    return retirements


class _MoveInsidePool(RetireWorker):
    """Dask's policy for a retiring worker, with the recipients limited to its own pool."""

    __slots__ = ("recipients",)

    def __init__(self, address: str, recipients: set[WorkerState]) -> None:
        super().__init__(address)
        self.recipients = recipients

    def run(self) -> SuggestionGenerator:
        suggestions = super().run()
        answer = None
        while True:
            try:
                suggestion = suggestions.send(answer)
            except StopIteration:
                return
            if suggestion.op == "replicate":
                suggestion = suggestion._replace(candidates=self.recipients)
            answer = yield suggestion


async def retire(
    scheduler: Scheduler, region: str, number: int, *, seconds: float = RETIRE_SECONDS
) -> dict[str, list[WorkerState]]:
    """Empty ECS tasks of a pool: those with the least to do and to hold.

    Parameters
    ----------
    scheduler
        Must be called on its event loop.
    region
        The pool. Results move to its other workers, never to another Region.
    number
        How many ECS tasks should go. Those already retired count, so that a repeated request
        changes nothing.
    seconds
        After this long, what could not be emptied takes work again and is not returned.

    Returns
    -------
    dict
        Id of every ECS task that may be stopped now, to its workers. Fewer than asked for where the
        pool's other workers cannot take the results, or where a Dask task takes too long.
    """
    pool = workers_by_ecs_task(scheduler, region)
    chosen = dict(sorted(pool.items(), key=_cost)[: max(0, number)])
    # This comes before anything moves: no worker may receive what another hands over.
    _take_no_work(scheduler, chain.from_iterable(chosen.values()))
    recipients = set(chain.from_iterable(pool.values())) & scheduler.running
    await asyncio.gather(
        *(_empty(scheduler, task, workers, recipients, seconds) for task, workers in chosen.items())
    )
    retired = {task: workers for task, workers in chosen.items() if all(map(_may_stop, workers))}
    _reinstate(scheduler, chain.from_iterable(chosen[task] for task in chosen.keys() - retired.keys()))
    _reinstate_later(scheduler, list(chain.from_iterable(retired.values())))
    logger.info("Pool %s: retired ECS tasks %s, %d were asked for", region, sorted(retired), number)
    return retired


def _cost(item: tuple[str, Sequence[WorkerState]]) -> tuple[bool, int, int, int]:
    """Order ECS tasks by what retiring them costs: first those that are retired already."""
    workers = item[1]
    return (
        any(ws.status != Status.closing_gracefully for ws in workers),
        sum(len(ws.processing) for ws in workers),
        sum(ws.nbytes for ws in workers),
        sum(len(ws.has_what) for ws in workers),
    )


def _take_no_work(scheduler: Scheduler, workers: Iterable[WorkerState]) -> None:
    stimulus = f"dask-regions-retire-{time()}"
    for ws in workers:
        scheduler.handle_worker_status_change(Status.closing_gracefully, ws, stimulus)
        _tell(scheduler, ws, Status.closing_gracefully, stimulus)
        # The worker never starts what it has not started: other workers of the pool get it.
        scheduler.transitions({ts.key: "released" for ts in ws.processing - ws.executing.keys()}, stimulus)


def _reinstate(scheduler: Scheduler, workers: Iterable[WorkerState]) -> None:
    for ws in workers:
        if scheduler.workers.get(ws.address) is ws and ws.status == Status.closing_gracefully:
            logger.info("Worker %s takes work again: it was not emptied, or not stopped", ws.name)
            _tell(scheduler, ws, Status.running, f"dask-regions-reinstate-{time()}")


def _reinstate_later(scheduler: Scheduler, workers: Sequence[WorkerState]) -> None:
    retirements = retirements_of(scheduler)
    request = retirements.begin(workers)
    scheduler.loop.call_later(
        REINSTATE_SECONDS, lambda: _reinstate(scheduler, retirements.end(workers, request))
    )


def _tell(scheduler: Scheduler, ws: WorkerState, status: Status, stimulus: str) -> None:
    message = {"op": "worker-status-change", "status": status.name, "stimulus_id": stimulus}
    scheduler.worker_send(ws.address, message)


async def _empty(
    scheduler: Scheduler,
    task: str,
    workers: Sequence[WorkerState],
    recipients: set[WorkerState],
    seconds: float,
) -> None:
    """Wait until workers execute nothing and hold nothing alone, or give up."""
    manager = scheduler.extensions["amm"]
    policies = [_MoveInsidePool(ws.address, recipients) for ws in workers]
    try:
        async with asyncio.timeout(seconds):
            # The scheduler announces neither of these, so they are polled, as Dask does.
            while any(ws.processing for ws in workers):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
            for policy in policies:
                manager.add_policy(policy)
            while not (all(map(_is_empty, workers)) or any(policy.no_recipients for policy in policies)):
                manager.run_once()
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        logger.warning("ECS task %s was not emptied within %.0f s; it stays in its pool", task, seconds)
    finally:
        manager.policies.difference_update(policies)


def _may_stop(ws: WorkerState) -> bool:
    # A worker that another request has reinstated meanwhile takes work again, even where it is empty now.
    return ws.status != Status.running and _is_empty(ws)


def _is_empty(ws: WorkerState) -> bool:
    """Tell whether a worker has no task, and no result that no other running worker holds."""
    return not ws.processing and all(
        any(holder.status == Status.running for holder in ts.who_has or ()) for ts in ws.has_what
    )
