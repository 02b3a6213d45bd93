"""What is told about pools, with a scheduler that only stands there."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from types import SimpleNamespace
from typing import Any

import pytest

from dask_regions.names import POOL_TOPIC
from dask_regions.placement.failures import watch as module
from dask_regions.placement.failures.failover import Failover
from dask_regions.placement.failures.watch import BURST_SECONDS, PoolWatch

WEST, EAST = "us-west-2", "us-east-1"


class FakeScheduler:
    """Keeps timers until they are fired, and the events that are logged."""

    worker_ttl = 60.0

    def __init__(self) -> None:
        self.tasks: dict[str, Any] = {}
        self.workers: dict[str, Any] = {}
        self.unrunnable: dict[Any, float] = {}
        self.queued: set[Any] = set()
        self.removed: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        self.events: list[dict[str, Any]] = []
        self.timers: list[Callable[[], None]] = []
        self.periodic_callbacks: dict[str, Any] = {}
        self.extensions: dict[str, Any] = {}
        self.loop = SimpleNamespace(
            call_later=self._call_later, remove_timeout=self.timers.remove, add_callback=lambda _: None
        )

    @property
    def running(self) -> set[Any]:
        return set(self.workers.values())

    def _call_later(self, _: float, function: Callable[..., None], *arguments: Any) -> Callable[[], None]:
        def fire() -> None:
            function(*arguments)

        self.timers.append(fire)
        return fire

    def fire(self) -> None:
        timers, self.timers[:] = list(self.timers), []
        for timer in timers:
            timer()

    def transitions(self, recommendations: dict[str, str], _: str) -> None:
        assert not recommendations

    def get_events(self, topic: str) -> list[tuple[float, dict[str, Any]]]:
        return self.removed[topic]

    def log_event(self, topic: str, message: dict[str, Any]) -> None:
        assert topic == POOL_TOPIC
        self.events.append(message)


class System:
    """A watch, and the scheduler it watches."""

    def __init__(self) -> None:
        self.scheduler = FakeScheduler()
        self.watch = PoolWatch(self.scheduler, lambda *_: None)  # type: ignore[arg-type]

    def wait_in_vain(self, *keys: str, region: str | None = WEST) -> None:
        for key in keys:
            task = Task(key, region)
            self.scheduler.tasks[key] = task
            self.scheduler.unrunnable[task] = 0.0
            self.watch.transition(key, "waiting", "no-worker", stimulus_id="s")

    def leave(self, key: str, finish: str) -> None:
        del self.scheduler.unrunnable[self.scheduler.tasks[key]]
        self.watch.transition(key, "no-worker", finish, stimulus_id="s")

    def add_worker(self, address: str, region: str = WEST) -> Any:
        worker = SimpleWorker(address, region)
        self.scheduler.workers[address] = worker
        self.watch.add_worker(self.scheduler, address)  # type: ignore[arg-type]
        return worker

    def remove_worker(self, address: str, *processing: str, expected: bool = False) -> None:
        """Do what ``Scheduler.remove_worker`` does before it calls its plugins."""
        del self.scheduler.workers[address]
        if not expected:
            for key in processing:
                self.scheduler.tasks[key].suspicious += 1
        event = {"action": "remove-worker", "processing-tasks": set(processing), "expected": expected}
        self.scheduler.removed[address] = [(0.0, {"action": "other"}), (0.0, event)]
        self.watch.remove_worker(self.scheduler, address)  # type: ignore[arg-type]

    @property
    def states(self) -> list[str]:
        return [event["state"] for event in self.scheduler.events]


class Task(SimpleNamespace):
    """What is read of a task."""

    def __init__(self, key: str, region: str | None = WEST) -> None:
        super().__init__(
            key=key,
            state="no-worker",
            resource_restrictions={f"region-{region}": 0} if region else None,
            worker_restrictions=None,
            host_restrictions=None,
            annotations=None,
            run_spec=None,
            who_has=None,
            dependencies=set(),
            dependents=set(),
            suspicious=0,
        )

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


class SimpleWorker(SimpleNamespace):
    """What is read of a worker."""

    def __init__(self, address: str, region: str) -> None:
        super().__init__(address=address, resources={f"region-{region}": 1}, last_seen=time(), processing={})

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


@pytest.fixture
def system() -> System:
    return System()


def test_an_empty_pool_is_reported_once(system: System) -> None:
    system.wait_in_vain("a", "b")
    assert not system.scheduler.events
    system.scheduler.fire()
    system.wait_in_vain("c")
    system.scheduler.fire()
    assert [event["message"] for event in system.scheduler.events] == [
        "pool us-west-2 has no workers; 2 tasks wait. Scale it with: dask-regions scale us-west-2 1"
    ]


def test_each_empty_pool_is_reported(system: System) -> None:
    system.wait_in_vain("a")
    system.wait_in_vain("b", region=EAST)
    system.scheduler.fire()
    assert [event["region"] for event in system.scheduler.events] == [WEST, EAST]


def test_a_pool_that_comes_back_in_time_is_not_reported(system: System) -> None:
    system.wait_in_vain("a")
    system.add_worker("tcp://1")
    system.leave("a", "processing")
    system.scheduler.fire()
    assert not system.scheduler.events


def test_a_reported_pool_is_reported_served_and_may_be_empty_again(system: System) -> None:
    system.wait_in_vain("a", "b")
    system.scheduler.fire()
    system.leave("a", "processing")
    system.leave("b", "processing")
    system.wait_in_vain("c")
    system.scheduler.fire()
    assert system.states == ["empty", "served", "empty"]


def test_a_wait_that_is_given_up_ends_without_a_word(system: System) -> None:
    system.wait_in_vain("a")
    system.scheduler.fire()
    system.leave("a", "released")
    assert system.states == ["empty"]


def test_a_wait_for_something_else_than_a_pool_is_not_reported(system: System) -> None:
    system.wait_in_vain("gpu", region=None)
    assert not system.scheduler.timers


async def test_closing_stops_the_timers(system: System) -> None:
    system.wait_in_vain("a")
    await system.watch.before_close()
    assert not system.scheduler.timers


def test_who_comes_later_to_an_empty_pool_is_told_too(system: System) -> None:
    system.wait_in_vain("a")
    system.scheduler.fire()
    system.watch.update_graph()
    system.wait_in_vain("b")
    system.scheduler.fire()
    assert [event["tasks"] for event in system.scheduler.events] == [1, 2]


def test_what_is_queued_when_the_last_worker_leaves_is_reported(system: System) -> None:
    system.add_worker("tcp://1")
    system.scheduler.queued.add(Task("a"))
    system.remove_worker("tcp://1")
    system.scheduler.fire()
    assert [event["tasks"] for event in system.scheduler.events] == [1]


def test_a_pool_that_nobody_needs_may_be_empty(system: System) -> None:
    system.add_worker("tcp://1")
    system.remove_worker("tcp://1")
    system.scheduler.fire()
    assert not system.scheduler.events


def test_what_continues_elsewhere_is_told(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fail_over", lambda *_: Failover({EAST: 7}, 0))
    system.wait_in_vain("a")
    system.scheduler.fire()
    assert [event["message"] for event in system.scheduler.events] == [
        "pool us-west-2 has no workers; 7 tasks continue in us-east-1, which holds the same data."
    ]


def test_a_pool_that_dies_at_once_is_one_failure_of_its_tasks(system: System) -> None:
    system.scheduler.tasks["a"] = task = Task("a")
    for number in range(10):
        system.add_worker(f"tcp://{number}")
    for number in range(10):
        system.remove_worker(f"tcp://{number}", "a")
    assert task.suspicious == 1


def test_a_task_that_kills_one_worker_after_the_other_is_suspected(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    system.scheduler.tasks["a"] = task = Task("a")
    for number in range(4):
        now += BURST_SECONDS + 1
        system.add_worker(f"tcp://{number}")
        system.remove_worker(f"tcp://{number}", "a")
    assert task.suspicious == 4


def test_another_pool_is_another_failure(system: System) -> None:
    system.scheduler.tasks["a"] = task = Task("a")
    for region in (WEST, EAST):
        system.add_worker(region, region)
        system.remove_worker(region, "a")
    assert task.suspicious == 2


def test_a_worker_that_was_asked_to_leave_is_no_failure(system: System) -> None:
    system.scheduler.tasks["a"] = task = Task("a")
    for number in range(2):
        system.add_worker(f"tcp://{number}")
        system.remove_worker(f"tcp://{number}", "a", expected=True)
    assert task.suspicious == 0


def test_silent_workers_are_told_once_and_when_they_answer(system: System) -> None:
    workers = [system.add_worker(f"tcp://{number}") for number in range(3)]
    workers[0].last_seen -= 20
    workers[0].processing = {"a": 1.0, "b": 1.0}
    system.watch._look_for_silence()
    system.watch._look_for_silence()
    workers[1].last_seen -= 20
    system.watch._look_for_silence()
    workers[0].last_seen = time()
    system.watch._look_for_silence()
    workers[1].last_seen = time()
    system.watch._look_for_silence()
    assert [event["message"] for event in system.scheduler.events] == [
        "1 of 3 workers of pool us-west-2 have not answered for 15 s; they have 2 tasks. "
        "After 60 s they are given up, and their tasks run on others.",
        "2 of 3 workers of pool us-west-2 have not answered for 15 s; they have 2 tasks. "
        "After 60 s they are given up, and their tasks run on others.",
        "pool us-west-2 answers again.",
    ]
