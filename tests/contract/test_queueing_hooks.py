"""What queueing replaces. After an upgrade: look at queueing.py, region_queue.py, ahead.py of its room."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from distributed import Client, Scheduler, Worker
from distributed.collections import HeapSet
from distributed.core import Status
from distributed.scheduler import SchedulerState

from testing.signatures import parameters

pytestmark = pytest.mark.xdist_group("placement")

LOOK = "look at hooks/scheduler/queueing.py"
WEST = {"region-us-west-2": 1.0}


def test_the_methods_that_are_replaced_are_called_as_they_were() -> None:
    assert parameters(Scheduler.valid_workers) == ["self", "ts"], LOOK
    assert parameters(Scheduler.check_idle_saturated) == ["self", "ws", "occ"], LOOK
    assert parameters(Scheduler.stimulus_queue_slots_maybe_opened) == ["self", "stimulus_id"], LOOK
    assert parameters(Scheduler.validate_queued) == ["self", "key"], LOOK
    assert parameters(Scheduler._add_to_processing) == ["self", "ts", "ws", "stimulus_id"], LOOK
    assert parameters(Scheduler._validate_ready) == ["self", "ts"], LOOK


def test_the_transitions_that_are_replaced_exist_and_are_looked_up_on_the_instance() -> None:
    replaced: set[Any] = {
        ("waiting", "processing"), ("waiting", "queued"),
        ("queued", "processing"), ("no-worker", "processing"),
    }  # fmt: skip
    assert replaced <= Scheduler._TRANSITIONS_TABLE.keys(), LOOK
    for edge in replaced:
        assert parameters(Scheduler._TRANSITIONS_TABLE[edge]) == ["self", "key", "stimulus_id"], LOOK
    assert "self._TRANSITIONS_TABLE" in inspect.getsource(SchedulerState._transition), LOOK
    others = {edge for edge in Scheduler._TRANSITIONS_TABLE if "queued" in edge} - replaced
    assert others == {("queued", "released"), ("queued", "erred")}, (
        f"a new way into or out of the queue: {LOOK}"
    )


def test_dask_chooses_the_queue_where_queueing_does() -> None:
    source = inspect.getsource(SchedulerState._transition_waiting_processing)
    assert "self.is_rootish(ts)" in source, LOOK
    assert "self.decide_worker_rootish_queuing_enabled()" in source, LOOK
    rootish = inspect.getsource(SchedulerState.is_rootish)
    assert "if ts.resource_restrictions or ts.worker_restrictions or ts.host_restrictions" in rootish, (
        f"Dask may queue restricted tasks by itself now: {LOOK}"
    )
    for part in ("ts.run_spec.data_producer", "rootish_tg_threshold", "rootish_tg_dependencies_threshold"):
        assert part in rootish, f"RegionQueueing._is_root asks the same: {LOOK}"


async def test_the_queue_is_a_heap_set_of_which_these_methods_are_used(scheduler: Scheduler) -> None:
    assert type(scheduler.queued) is HeapSet, LOOK
    assert callable(scheduler.queued.key), LOOK
    public = {name for name in vars(HeapSet) if not name.startswith("_")} - {"key"}
    assert public == {
        "add", "clear", "discard", "peek", "peekn", "peekright", "pop", "popright", "sorted",
    }, f"RegionQueue replaces them: {LOOK}"  # fmt: skip


async def test_who_runs_is_a_set_that_changes_by_add_and_discard_only(scheduler: Scheduler) -> None:
    assert type(scheduler.running) is set, LOOK
    source = inspect.getsource(inspect.getmodule(Scheduler))  # type: ignore[arg-type]
    changes = {line.strip() for line in source.splitlines() if "self.running." in line}
    changes = {change.split("self.running.")[1].split("(")[0] for change in changes}
    assert changes <= {"add", "discard", "issuperset", "copy"}, f"RunningWorkers counts changes: {LOOK}"


async def test_what_queueing_reads(scheduler: Scheduler) -> None:
    async with (
        Worker(scheduler.address, nthreads=2, resources=WEST, host="127.0.0.1") as worker,
        Client(scheduler.address, asynchronous=True) as client,
    ):
        future = client.submit(int)
        await future
        ts = scheduler.tasks[future.key]
        ws = scheduler.workers[worker.address]
        assert scheduler.resources["region-us-west-2"] == {worker.address: 1}, LOOK
        assert (scheduler._workers_added_total, scheduler._workers_removed_total) == (1, 0), LOOK
        assert (ts._queueable, ts.loose_restrictions, ts.actor) == (True, False, False), LOOK
        assert ts.group.prefix is ts.prefix, LOOK
        assert ts.group.nbytes_total > 0, LOOK
        assert ts.group.states["memory"] == 1, LOOK
        assert scheduler._get_prefix_duration(ts.prefix) >= 0, LOOK
        assert ws.status == Status.running, LOOK
        assert isinstance(ws.metrics["memory"], int), LOOK
        assert (set(ws.processing), set(ws.long_running)) == (set(), set()), LOOK
        assert scheduler.WORKER_SATURATION > 0, LOOK
    assert scheduler._workers_removed_total == 1, LOOK


async def test_a_heartbeat_brings_the_latency_of_the_one_before(scheduler: Scheduler) -> None:
    async with Worker(scheduler.address, nthreads=1, host="127.0.0.1") as worker:
        ws = scheduler.workers[worker.address]
        seen = []
        for _ in range(3):
            before = ws.metrics
            await worker.heartbeat()
            assert ws.metrics is not before, (
                "look at hooks/scheduler/ahead.py: a heartbeat is told by its identity"
            )
            seen.append(ws.metrics["digests_total_since_heartbeat"].get("latency"))
        assert any(latency is not None and 0 < latency < 60 for latency in seen), (
            "look at hooks/scheduler/ahead.py"
        )
