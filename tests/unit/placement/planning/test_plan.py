"""Where tasks go, decided on graphs alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from dask._task_spec import Alias, DataNode, GraphNode, Task, TaskRef

from dask_regions.data.array import RegionArray
from dask_regions.placement.planning.cluster import ClusterState
from dask_regions.placement.planning.plan import Plan, make_plan
from dask_regions.placement.planning.sizes import Blocks

WEST, EAST, CLIENT = "us-west-2", "us-east-1", "eu-west-2"
NOW = ClusterState(CLIENT, frozenset({WEST, EAST, CLIENT}))


def array(*regions: str, size: int = 1000) -> RegionArray:
    marked = RegionArray(np.ones(size), region=regions[0], what="x", token="1")
    marked.__dask_region__ = regions if len(regions) > 1 else regions[0]
    return marked


def task(name: Any, *inputs: Any, reads: RegionArray | None = None) -> Task:
    """Return a task that needs other tasks, by their keys, and may read."""
    return Task(name, np.sum, *map(TaskRef, inputs), *([] if reads is None else [reads]))


def plan(*tasks: GraphNode, wanted: Iterable[Any] = (), now: ClusterState = NOW, **more: Any) -> Plan:
    return make_plan({node.key: node for node in tasks}, wanted, now, **more)


def regions(*tasks: GraphNode, **more: Any) -> dict[Any, str]:
    return plan(*tasks, **more).regions


def located(**where: tuple[str | None, float]) -> ClusterState:
    return ClusterState(
        CLIENT,
        frozenset({WEST, EAST}),
        known=where.keys(),
        region_of=lambda key: where.get(str(key), (None, 0))[0],
        nbytes=lambda key: where[str(key)][1] if key in where else None,
    )


def test_a_read_and_what_follows_it_go_to_its_region() -> None:
    assert regions(task("mean", "read"), task("read", reads=array(WEST))) == {"read": WEST, "mean": WEST}


def test_a_read_through_a_shared_array_is_a_read_and_takes_the_array_along() -> None:
    planned = plan(DataNode("original", array(WEST)), task("read", "original"))
    assert set(planned.reads.markers) == {"read"}
    assert planned.regions == {"original": WEST, "read": WEST}


def test_a_read_goes_to_its_region_whatever_else_it_needs() -> None:
    tasks = task("west", reads=array(WEST)), task("both", "west", reads=array(EAST, size=1))
    assert regions(*tasks)["both"] == EAST


def test_a_task_that_reads_two_regions_is_known_as_such() -> None:
    planned = plan(Task("both", np.add, array(WEST), array(EAST)))
    assert planned.reads.multi_region == ("both",)


def test_a_fused_task_that_reads_two_regions_is_taken_apart() -> None:
    parts = task("a", reads=array(WEST)), task("b", reads=array(EAST)), task(("c", 0), "a", "b")
    planned = plan(GraphNode.fuse(*parts), task("d", ("c", 0)))
    assert not planned.reads.multi_region
    assert sorted(str(region) for region in planned.regions.values()) == [EAST, EAST, EAST, WEST]
    assert len(planned.graph) == 4
    assert {WEST, EAST} == {planned.regions[key] for key in planned.graph["c", 0].dependencies}


def test_a_fused_task_that_is_taken_apart_computes_the_same() -> None:
    parts = (
        Task("a", lambda x: x.shape[0], array(WEST, size=3)),
        Task("b", lambda x, y: x.shape[0] + y, array(EAST, size=4), TaskRef("input")),
        Task(("c", 0), lambda x, y: 10 * x + y, TaskRef("a"), TaskRef("b")),
    )
    graph = plan(GraphNode.fuse(*parts), Task("input", lambda: 1)).graph
    values: dict[Any, Any] = {}
    while len(values) < len(graph):
        for key, node in graph.items():
            if key not in values and node.dependencies <= values.keys():
                values[key] = node({name: values[name] for name in node.dependencies})
    assert values["c", 0] == 35


def test_inputs_of_two_regions_meet_where_most_bytes_are() -> None:
    small, large = task("small", reads=array(WEST, size=10)), task("large", reads=array(EAST))
    assert regions(small, large, task("sum", "small", "large"))["sum"] == EAST


def test_what_many_tasks_need_goes_to_them_even_if_it_is_larger_than_each() -> None:
    blocks = [task(f"block-{number}", reads=array(EAST, size=10_000 + number)) for number in range(8)]
    sums = [task(f"sum-{number}", f"block-{number}", "map") for number in range(8)]
    placed = regions(task("map", reads=array(WEST, size=20_000)), *blocks, *sums)
    assert {placed[node.key] for node in sums} == {EAST}


def test_what_many_tasks_need_crosses_once() -> None:
    blocks = [task(f"block-{number}", reads=array(EAST)) for number in range(4)]
    sums = [task(f"sum-{number}", f"block-{number}", "mean") for number in range(4)]
    planned = plan(task("mean", reads=array(WEST, size=1)), *blocks, *sums)
    assert planned.regions[f"transfer-{EAST}-mean"] == EAST
    assert all(f"transfer-{EAST}-mean" in planned.graph[node.key].dependencies for node in sums)
    assert list(planned.crossings()) == [("mean", WEST, EAST)]


def test_what_one_task_needs_is_taken_without_another() -> None:
    planned = plan(task("a", reads=array(WEST)), task("b", reads=array(EAST)), task("c", "a", "b"))
    assert set(planned.graph) == {"a", "b", "c"}


def test_equal_inputs_are_decided_alike() -> None:
    wests = [task(("west", number), reads=array(WEST)) for number in range(3)]
    easts = [task(("east", number), reads=array(EAST)) for number in range(3)]
    sums = [task(("sum", number), ("west", number), ("east", number)) for number in range(3)]
    placed = regions(*wests, *easts, *sums)
    assert len({placed[node.key] for node in sums}) == 1


def test_a_large_result_is_made_where_it_is_delivered() -> None:
    tasks = task("a", reads=array(WEST)), task("b", reads=array(EAST)), task("joined", "a", "b")
    blocks = {name: Blocks((), size) for name, size in {"a": 100_000, "b": 90_000, "joined": 190_000}.items()}
    assert regions(*tasks, wanted=["joined"], blocks=blocks)["joined"] == CLIENT
    without = ClusterState(CLIENT, frozenset({WEST, EAST}))
    assert regions(*tasks, wanted=["joined"], blocks=blocks, now=without)["joined"] == WEST


def test_an_alias_of_the_result_is_delivered_too() -> None:
    tasks = task("a", reads=array(WEST)), task("b", reads=array(EAST)), task("fused", "a", "b")
    blocks = {name: Blocks((), size) for name, size in {"a": 1e5, "b": 1e5, "fused": 2e5}.items()}
    assert regions(*tasks, Alias("result", "fused"), wanted=["result"], blocks=blocks)["fused"] == CLIENT


def test_blocks_that_are_persisted_are_not_delivered() -> None:
    tasks = task("a", reads=array(WEST)), task("b", reads=array(EAST)), task(("sum", 0), "a", "b")
    assert regions(*tasks, wanted=[("sum", 0)])["sum", 0] in (WEST, EAST)


def test_a_producer_without_region_goes_where_its_consumers_are() -> None:
    tasks = task("ones"), task("weights", "ones"), task("read", reads=array(WEST))
    placed = regions(*tasks, task("product", "read", "weights"))
    assert placed["weights"] == placed["ones"] == WEST


def test_a_producer_for_two_regions_goes_to_most_of_them_and_crosses_once() -> None:
    reads = [
        task(f"{region}-{n}", "mask", reads=array(region)) for region, n in ((WEST, 1), (EAST, 1), (EAST, 2))
    ]
    planned = plan(task("mask"), *reads, task("west-more", "mask", f"{WEST}-1"))
    assert planned.regions["mask"] in (EAST, WEST)
    targets = [target for key, _, target in planned.crossings() if key == "mask"]
    assert len(targets) == 1


def test_work_without_regions_is_left_alone() -> None:
    assert regions(task("one"), task("two", "one")) == {}


def test_a_result_of_an_earlier_graph_takes_what_follows_along() -> None:
    assert regions(task("next", "persisted"), now=located(persisted=(EAST, 1e6))) == {"next": EAST}


def test_results_of_earlier_graphs_meet_where_most_bytes_are() -> None:
    now = located(large=(EAST, 1e6), small=(WEST, 1e4))
    assert regions(task("next", "small", "large"), now=now) == {"next": EAST}


def test_a_result_that_exists_stays_where_it_is() -> None:
    now = located(mean=(EAST, 100.0))
    assert (
        regions(task("read", reads=array(WEST)), task("mean", "read"), task("x", "mean"), now=now)["x"]
        == EAST
    )


def test_a_pin_holds_and_a_read_goes_before_it() -> None:
    tasks = task("free"), task("read", reads=array(WEST))
    assert regions(*tasks, pins={"free": EAST, "read": EAST}) == {"free": EAST, "read": WEST}


@pytest.mark.parametrize(
    ("alive", "beside", "expected"),
    [({WEST, EAST}, None, WEST), ({EAST}, None, EAST), ({WEST, EAST}, EAST, EAST), (set(), None, WEST)],
    ids=["first", "alive", "beside other data", "nobody"],
)
def test_a_replica_is_chosen(alive: set[str], beside: str | None, expected: str) -> None:
    other = [task("other", reads=array(beside))] if beside else []
    placed = regions(
        task("read", reads=array(WEST, EAST)), *other, now=ClusterState(CLIENT, frozenset(alive))
    )
    assert placed["read"] == expected


def test_a_write_runs_where_the_store_is_although_what_it_writes_was_fused_into_it() -> None:
    write = GraphNode.fuse(
        task("block", reads=array(WEST)), Task("write", np.copyto, array(EAST), TaskRef("block"))
    )
    planned = plan(write)
    assert planned.regions["write"] == EAST
    (block,) = planned.graph["write"].dependencies
    assert planned.regions[block] == WEST


def test_graphs_deeper_than_the_stack_are_planned() -> None:
    chain = [task("0", reads=array(WEST)), *(task(str(n), str(n - 1)) for n in range(1, 5000))]
    assert set(regions(*reversed(chain)).values()) == {WEST}


def test_an_empty_graph_is_planned() -> None:
    assert regions() == {}


def test_what_is_written_elsewhere_is_reduced_before_it_crosses() -> None:
    parts = task("left", reads=array(WEST)), task("right", reads=array(WEST))
    mean = Task("mean", np.mean, TaskRef("left"), TaskRef("right"))
    write = Task("write", np.copyto, array(EAST), TaskRef("mean"))
    planned = plan(*parts, GraphNode.fuse(mean, write))
    (reduced,) = planned.graph["write"].dependencies
    assert (planned.regions["write"], planned.regions[reduced]) == (EAST, WEST)
    assert list(planned.crossings()) == [(reduced, WEST, EAST)]
