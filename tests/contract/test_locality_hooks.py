"""What locality and P2P replace. After an upgrade: look at locality.py and p2p.py in hooks/scheduler."""

from __future__ import annotations

import inspect
from typing import Any

import dask.array as da
import pytest
from distributed import Client, Scheduler, Worker
from distributed.active_memory_manager import ActiveMemoryManagerExtension
from distributed.shuffle import rechunk_p2p
from distributed.shuffle._core import ShuffleId, barrier_key, id_from_key
from distributed.shuffle._rechunk import P2PRechunkLayer, _split_partials
from distributed.shuffle._scheduler_plugin import ShuffleSchedulerPlugin
from distributed.stealing import WorkStealing

from testing.signatures import parameters

pytestmark = pytest.mark.xdist_group("placement")

LOCALITY = "look at hooks/scheduler/locality.py"
SHUFFLE = "look at hooks/scheduler/p2p.py"


def test_the_methods_that_locality_replaces_are_called_as_they_were() -> None:
    assert parameters(Scheduler._task_to_msg) == ["self", "ts"], LOCALITY
    assert parameters(Scheduler.get_comm_cost) == ["self", "ts", "ws"], LOCALITY
    assert parameters(Scheduler.handle_request_refresh_who_has) == [
        "self", "keys", "worker", "stimulus_id",
    ], LOCALITY  # fmt: skip
    assert parameters(WorkStealing._get_thief) == [
        "self", "scheduler", "ts", "potential_thieves", "occupancies",
    ], LOCALITY  # fmt: skip
    assert parameters(ActiveMemoryManagerExtension._find_dropper) == [
        "self", "ts", "candidates", "pending_drop",
    ], LOCALITY  # fmt: skip


async def test_extensions_and_handlers_have_their_names(scheduler: Scheduler) -> None:
    assert isinstance(scheduler.extensions["stealing"], WorkStealing), LOCALITY
    assert isinstance(scheduler.extensions["amm"], ActiveMemoryManagerExtension), LOCALITY
    assert "request-refresh-who-has" in scheduler.stream_handlers, LOCALITY
    assert isinstance(scheduler.extensions["shuffle"], ShuffleSchedulerPlugin), SHUFFLE


async def test_a_message_to_a_worker_names_the_holders_and_the_worker_is_known(scheduler: Scheduler) -> None:
    async with (
        Worker(scheduler.address, nthreads=1, host="127.0.0.1") as worker,
        Client(scheduler.address, asynchronous=True) as client,
    ):
        seen: list[tuple[Any, dict[str, Any]]] = []
        stock = scheduler._task_to_msg

        def task_to_msg(ts: Any) -> dict[str, Any]:
            seen.append((ts.processing_on, stock(ts)))
            return seen[-1][1]

        vars(scheduler).update(_task_to_msg=task_to_msg)
        dependency = client.submit(int)
        await client.submit(abs, dependency)
        assert len(seen) == 2, f"a task reaches its worker another way: {LOCALITY}"
        assert all(ws is scheduler.workers[worker.address] for ws, _ in seen), LOCALITY
        assert seen[1][1]["who_has"] == {dependency.key: (worker.address,)}, LOCALITY
        assert isinstance(scheduler.bandwidth_workers, dict), LOCALITY
        assert scheduler.workers[worker.address].last_seen > 0, LOCALITY


def test_p2p_chooses_its_outputs_among_the_workers_of_the_barrier() -> None:
    assert parameters(ShuffleSchedulerPlugin._calculate_worker_for) == ["self", "spec"], SHUFFLE
    source = inspect.getsource(ShuffleSchedulerPlugin._calculate_worker_for)
    assert "workers = list(barrier.worker_restrictions)" in source, SHUFFLE
    assert "self._calculate_worker_for(spec)" in inspect.getsource(ShuffleSchedulerPlugin._create), SHUFFLE
    named: Any = id_from_key(barrier_key(ShuffleId("x")))
    assert named == "x", SHUFFLE


def test_a_p2p_rechunk_is_a_layer_that_says_what_it_does() -> None:
    array = rechunk_p2p(da.ones((8, 8), chunks=(2, 8)), ((8,), (2,) * 4))
    assert isinstance(array.dask.layers[array.name], P2PRechunkLayer), SHUFFLE
    layer: Any = array.dask.layers[array.name]
    assert layer.name == array.name, SHUFFLE
    assert layer.name_input in array.dask.layers, SHUFFLE
    assert layer.chunks == ((8,), (2,) * 4), SHUFFLE
    assert len(layer.chunks_input) == 2, SHUFFLE
    assert layer.keepmap.shape == (1, 4), SHUFFLE
    assert parameters(_split_partials) == ["old_to_new"], SHUFFLE
