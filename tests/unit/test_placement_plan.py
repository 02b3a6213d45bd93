"""Where tasks go, decided without a scheduler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dask._task_spec import DataNode, Task

from dask_regions.placement.marker import RegionArray
from dask_regions.placement.plan import make_plan, region_of_task

WEST, EAST = "us-west-2", "us-east-1"


class Worker:
    def __init__(self, region: str | None) -> None:
        self.resources = {f"region-{region}": 1} if region else {}


class State:
    """What planning reads of ``distributed.scheduler.TaskState``."""

    def __init__(self, name: str, *dependencies: State, reads: str = "", **more: Any) -> None:
        array = RegionArray(np.ones(1000), region=reads, what="x", token="1") if reads else None
        self.key = name
        self.run_spec: Any = Task(name, np.sum, array)
        self.dependencies, self.dependents = set(dependencies), set[State]()
        for dependency in dependencies:
            dependency.dependents.add(self)
        self.state, self.nbytes, self.group, self.who_has = "released", -1, [self], set[Worker]()
        self.worker_restrictions = self.host_restrictions = self.resource_restrictions = None
        for attribute, value in more.items():
            setattr(self, attribute, value)

    def __repr__(self) -> str:
        return self.key


def homes(*tasks: State) -> dict[str, str]:
    return {str(task.key): region for task, region in make_plan(tasks).homes.items()}  # type: ignore[arg-type]


def test_a_read_and_what_follows_it_go_to_its_region() -> None:
    read = State("read", reads=WEST)
    mean = State("mean", read)
    assert homes(mean, read) == {"read": WEST, "mean": WEST}


def test_a_read_through_a_shared_array_is_a_read() -> None:
    handle = State("original", reads=WEST)
    handle.run_spec = DataNode("original", handle.run_spec.args[0])
    read = State("read", handle)
    plan = make_plan([handle, read])  # type: ignore[list-item]
    assert {task.key: regions for task, regions in plan.reads.items()} == {"read": (WEST,)}
    assert plan.homes == {handle: WEST, read: WEST}


def test_a_read_goes_to_its_region_whatever_else_it_needs() -> None:
    west, east = State("west", reads=WEST), State("east", reads=EAST, group=[None])
    both = State("both", west, reads=EAST)
    assert homes(west, east, both)["both"] == EAST


def test_a_task_that_reads_two_regions_is_known_as_such() -> None:
    task = State("torn", reads=WEST)
    task.run_spec = Task("torn", np.add, task.run_spec.args[0], State("e", reads=EAST).run_spec.args[0])
    plan = make_plan([task])  # type: ignore[list-item]
    assert list(plan.reads.values()) == [(EAST, WEST)]


def test_inputs_of_two_regions_meet_where_most_bytes_are() -> None:
    small, large = State("small", reads=WEST, group=[None] * 10), State("large", reads=EAST)
    assert homes(small, large, State("sum", small, large))["sum"] == EAST


def test_what_many_tasks_need_goes_to_them() -> None:
    mean = State("mean", State("one", reads=WEST))
    chunks = [State(f"chunk-{number}", reads=EAST, group=[None]) for number in range(4)]
    differences = [State(f"difference-{number}", chunk, mean) for number, chunk in enumerate(chunks)]
    assert {homes(*mean.dependencies, mean, *chunks, *differences)[task.key] for task in differences} == {
        EAST
    }


def test_equal_inputs_are_decided_alike() -> None:
    wests = [State(f"west-{number}", reads=WEST) for number in range(3)]
    easts = [State(f"east-{number}", reads=EAST) for number in range(3)]
    sums = [State(f"sum-{number}", *pair) for number, pair in enumerate(zip(wests, easts, strict=True))]
    found = homes(*wests, *easts, *sums)
    assert len({found[task.key] for task in sums}) == 1


def test_a_producer_without_region_goes_where_its_consumers_are() -> None:
    weights = State("weights")
    read = State("read", reads=WEST)
    assert homes(weights, read, State("product", read, weights))["weights"] == WEST


def test_a_producer_for_two_regions_is_free() -> None:
    weights = State("weights")
    reads = [State(region, weights, reads=region) for region in (WEST, EAST)]
    assert "weights" not in homes(weights, *reads)


def test_work_without_regions_is_left_alone() -> None:
    one = State("one")
    assert homes(one, State("two", one)) == {}


def test_inputs_of_an_earlier_graph_keep_their_region() -> None:
    kept = State("kept", state="memory", nbytes=8, resource_restrictions={f"region-{WEST}": 0})
    assert homes(kept, State("mean", kept)) == {"mean": WEST}


def test_where_free_results_happen_to_be_binds_nothing() -> None:
    somewhere = State("somewhere", state="memory", nbytes=8, who_has={Worker(WEST)})
    assert homes(somewhere, State("next", somewhere)) == {}


def test_where_free_results_are_counts_against_small_inputs() -> None:
    somewhere = State("somewhere", state="memory", nbytes=10**9, who_has={Worker(WEST), Worker(WEST)})
    read = State("read", reads=EAST)
    assert homes(somewhere, read, State("sum", somewhere, read))["sum"] == WEST


@pytest.mark.parametrize(
    "restriction",
    [
        {"worker_restrictions": {"tcp://1"}},
        {"host_restrictions": {"host"}},
        {"resource_restrictions": {f"region-{EAST}": 0}},
    ],
)
def test_what_the_user_restricted_is_left_so(restriction: dict[str, Any]) -> None:
    read = State("read", reads=WEST, **restriction)
    assert homes(read) == {}


def test_another_resource_of_the_user_does_not_free_a_read() -> None:
    assert homes(State("read", reads=WEST, resource_restrictions={"GPU": 1})) == {"read": WEST}


def test_tasks_that_started_are_left_alone() -> None:
    assert homes(State("running", reads=WEST, state="processing")) == {}


def test_the_region_of_a_task_is_read_from_its_resource() -> None:
    assert region_of_task(State("x", resource_restrictions={"GPU": 1, f"region-{WEST}": 0})) == WEST  # type: ignore[arg-type]
