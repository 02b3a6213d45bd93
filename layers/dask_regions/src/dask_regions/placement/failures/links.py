"""Notice that workers of one Region cannot fetch from those of another, though the scheduler reaches both.

Workers report what fails (:mod:`dask_regions.placement.hooks.worker.fetching`). Here it is counted on the
scheduler; the user is told which link fails, and in time the tasks that need it do.
"""

from __future__ import annotations

import logging
import pickle
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from dask_regions.errors import UnavailableError
from dask_regions.names import POOL_TOPIC
from dask_regions.placement.hooks.scheduler.callbacks import add_plugin, call_every
from dask_regions.placement.hooks.worker.fetching import LINK_TOPIC
from dask_regions.placement.planning.cluster import region_of_worker

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import Recs, Scheduler, TaskState, WorkerState

__all__ = ["LinkWatch", "watch_links"]

logger = logging.getLogger(__name__)

#: Seconds of failures, two at least, before the user is told. A worker that died is removed sooner.
PATIENCE_SECONDS = 5.0
#: Seconds of failures after which tasks that have to fetch there fail.
GIVE_UP_SECONDS = 120.0

_LOOK_SECONDS = 1.0
# Longer than a worker takes from one attempt to the next: nobody tries any more.
_FORGET_SECONDS = 120.0


@dataclass
class _Failures:
    first: float
    last: float
    number: int


class LinkWatch(SchedulerPlugin):
    """Tells of links that fail, and lets the tasks fail that need them.

    Parameters
    ----------
    scheduler
        The scheduler it is added to.
    patience, give_up
        Seconds of failures until the user is told, and until tasks fail.
    """

    name = "dask-regions-links"

    def __init__(
        self, scheduler: Scheduler, patience: float = PATIENCE_SECONDS, give_up: float = GIVE_UP_SECONDS
    ) -> None:
        self._scheduler, self.patience, self.give_up = scheduler, patience, give_up
        self._failures: dict[tuple[str, str], _Failures] = {}
        self._reported: set[tuple[str, str]] = set()
        call_every(scheduler, self.name, self._look, _LOOK_SECONDS)

    def log_event(self, topic: str, msg: Any) -> None:
        """Count what a worker reports."""
        if topic != LINK_TOPIC:
            return
        pair = (msg["worker"], msg["peer"])
        if not msg["failed"]:
            self._failures.pop(pair, None)
            return
        if not all(address in self._scheduler.workers for address in pair):
            return  # the attempt has outlived the worker
        now = monotonic()
        failures = self._failures.setdefault(pair, _Failures(now, now, 0))
        failures.last = now
        failures.number += 1

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:  # noqa: ARG002  Dask's names
        """Forget what was reported by and of a worker that left: it was no link that failed."""
        for pair in [pair for pair in self._failures if worker in pair]:
            del self._failures[pair]

    def _look(self) -> None:
        now = monotonic()
        links: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for pair, failures in list(self._failures.items()):
            if now - failures.last > _FORGET_SECONDS:
                del self._failures[pair]
            elif failures.number > 1 and now - failures.first > self.patience:
                links[self._region(pair[0]), self._region(pair[1])].append(pair)
        for link in self._reported - links.keys():
            self._tell(link, "reached", 0, f"workers in {link[0]} fetch from {link[1]} again.")
        for link in links.keys() - self._reported:
            self._report(link, links[link])
        self._reported = set(links)
        overdue = {pair for pair, failures in self._failures.items() if now - failures.first > self.give_up}
        if overdue:
            self._fail(overdue)

    def _report(self, link: tuple[str, str], pairs: list[tuple[str, str]]) -> None:
        here, there = link
        peers = {peer for _, peer in pairs}
        waiting = sum(
            1
            for address in {address for address, _ in pairs}
            for task in self._scheduler.workers[address].processing
            if any(_held_only_by(dependency, peers) for dependency in task.dependencies)
        )
        self._tell(
            link,
            "unreachable",
            waiting,
            f"workers in {here} cannot fetch from {there}, e.g. {pairs[0][0]} from {pairs[0][1]}; "
            f"{waiting} tasks wait for it and fail after {self.give_up:.0f} s. "
            f"{_ADVICE.format(here=here, there=there)}",
        )

    def _fail(self, overdue: set[tuple[str, str]]) -> None:
        stimulus = f"dask-regions-links-{time()}"
        unreachable: defaultdict[str, set[str]] = defaultdict(set)
        for address, peer in overdue:
            unreachable[address].add(peer)
        recommendations: Recs = {}
        for address, peers in unreachable.items():
            worker = self._scheduler.workers[address]
            for task, lacking in list(_lacking(worker, peers)):
                recommendations.update(self._fail_task(task, lacking, worker, stimulus))
        self._scheduler.transitions(recommendations, stimulus)

    def _fail_task(self, task: TaskState, lacking: TaskState, worker: WorkerState, stimulus: str) -> Recs:
        here = self._region(worker.address)
        there = " and ".join(sorted({self._region(holder.address) for holder in lacking.who_has or ()}))
        error = UnavailableError(
            f"task {task.key!r} in {here} could not fetch {lacking.key!r} from {there} for "
            f"{self.give_up:.0f} s. {_ADVICE.format(here=here, there=there)}; then compute again"
        )
        address = worker.address
        recommendations = self._scheduler.transition(
            task.key,
            "erred",
            exception=pickle.dumps(error),
            cause=task.key,
            stimulus_id=stimulus,
            worker=address,
        )
        # It still tries: Dask expects that it was the worker who said that the task failed.
        keys: list[Key] = [task.key]
        self._scheduler.worker_send(address, {"op": "free-keys", "keys": keys, "stimulus_id": stimulus})
        return recommendations

    def _region(self, address: str) -> str:
        worker = self._scheduler.workers.get(address)
        return (worker and region_of_worker(worker)) or "the client Region"

    def _tell(self, link: tuple[str, str], state: str, tasks: int, message: str) -> None:
        logger.warning(message)
        event = {"region": link[1], "from": link[0], "state": state, "tasks": tasks, "message": message}
        self._scheduler.log_event(POOL_TOPIC, event)


_ADVICE = "Check the route from {here} to {there} and the security groups of the workers"


def _held_only_by(task: TaskState, peers: Iterable[str]) -> bool:
    return bool(task.who_has) and {holder.address for holder in task.who_has or ()} <= set(peers)


def _lacking(worker: WorkerState, peers: set[str]) -> Iterable[tuple[TaskState, TaskState]]:
    """Yield the tasks of a worker that cannot get an input, with the input."""
    for task in worker.processing:
        for dependency in task.dependencies:
            if _held_only_by(dependency, peers):
                yield task, dependency
                break


def watch_links(scheduler: Scheduler) -> LinkWatch:
    """Watch the links between a scheduler's workers."""
    watch = LinkWatch(scheduler)
    add_plugin(scheduler, watch, watch.name)
    return watch
