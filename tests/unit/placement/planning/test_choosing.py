"""Choices of Region, and reductions that are combined in each Region first."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask._task_spec import GraphNode, List, Task, TaskRef
from dask.base import collections_to_expr
from dask.local import get_sync

from dask_regions.data.array import RegionArray
from dask_regions.placement.planning.cluster import ClusterState
from dask_regions.placement.planning.plan import Plan, make_plan
from dask_regions.placement.planning.sizes import Blocks

WEST, EAST, CLIENT = "us-west-2", "us-east-1", "eu-west-2"
NOW = ClusterState(CLIENT, frozenset({WEST, EAST, CLIENT}))


def read(key: Any, region: str) -> Task:
    return Task(key, np.sum, RegionArray(np.ones(1), region=region, what="x", token="1"))


def task(key: Any, *inputs: Any) -> Task:
    return Task(key, max, *map(TaskRef, inputs))


def combine(key: Any, *inputs: Any, function: Any = sum) -> Task:
    return Task(key, function, List(*map(TaskRef, inputs)))


def plan(tasks: list[GraphNode], wanted: Any, sizes: dict[str, float] | None = None) -> Plan:
    blocks = {name: Blocks(((size,) * 1000,), 1) for name, size in (sizes or {}).items()}
    return make_plan({node.key: node for node in tasks}, [wanted], NOW, blocks=blocks)


def test_operands_meet_at_the_client_if_all_results_are_delivered() -> None:
    sizes = {"a": 1e5, "b": 1e5, "product": 1e5, "other": 1e5}
    tasks: list[GraphNode] = [
        read(("a", 0), WEST),
        read(("b", 0), EAST),
        task(("product", 0), ("a", 0), ("b", 0)),
    ]
    tasks += [task(("other", 0), ("product", 0)), task("finalize-1", ("product", 0), ("other", 0))]
    planned = plan(tasks, "finalize-1", sizes)
    assert (
        planned.regions["product", 0]
        == planned.regions["other", 0]
        == planned.regions["finalize-1"]
        == CLIENT
    )


def test_what_follows_from_a_choice_is_part_of_it() -> None:
    """The sum is as cheap in both Regions; its consumer has large data in one."""
    sizes = {"a": 1e5, "b": 1e5, "sum": 1e5, "c": 1e6, "d": 1.0}
    for region in (WEST, EAST):
        tasks: list[GraphNode] = [read(("a", 0), WEST), read(("b", 0), EAST), read(("c", 0), region)]
        tasks += [task(("sum", 0), ("a", 0), ("b", 0)), task(("d", 0), ("sum", 0), ("c", 0))]
        assert plan(tasks, ("d", 0), sizes).regions["sum", 0] == region


def test_much_data_that_may_meet_in_either_region_meets_in_both() -> None:
    sizes = {"a": 1e6, "b": 1e6, "sum": 1e6, "part": 1e4}
    tasks: list[GraphNode] = []
    for number in range(40):
        tasks += [read(("a", number), WEST), read(("b", number), EAST)]
        tasks += [task(("sum", number), ("a", number), ("b", number))]
    for part in range(4):
        tasks += [task(("part", part), *(("sum", 10 * part + number) for number in range(10)))]
    tasks += [task("result", *(("part", part) for part in range(4)))]
    planned = plan(tasks, "result", sizes)
    operands = {(name, number) for name in "ab" for number in range(40)}
    crossing = [(source, target) for key, source, target in planned.crossings() if key in operands]
    assert crossing.count((WEST, EAST)) == crossing.count((EAST, WEST)) == 20
    assert sum(planned.crossings().values()) <= 1.01 * 40e6


def test_little_data_meets_in_one_region() -> None:
    sizes = {"a": 1e3, "b": 1e3, "sum": 1e3, "part": 1.0}
    tasks: list[GraphNode] = []
    for number in range(40):
        tasks += [read(("a", number), WEST), read(("b", number), EAST)]
        tasks += [task(("sum", number), ("a", number), ("b", number))]
    tasks += [task("result", *(("sum", number) for number in range(40)))]
    assert len({plan(tasks, "result", sizes).regions["sum", number] for number in range(40)}) == 1


def tree(*, function: Any = sum) -> list[GraphNode]:
    """Return a tree reduction of 12 blocks, the first 7 in the west, in groups of 4 and then 3."""
    regions = [WEST] * 7 + [EAST] * 5
    leaves: list[GraphNode] = [read(("x", number), region) for number, region in enumerate(regions)]
    steps = [
        combine(
            ("sum-partial-1", step), *(("x", 4 * step + number) for number in range(4)), function=function
        )
        for step in range(3)
    ]
    last = combine("sum-aggregate", *(("sum-partial-1", step) for step in range(3)), function=function)
    return [*leaves, *steps, last]


def test_each_regions_share_of_a_tree_is_combined_before_it_crosses() -> None:
    planned = plan(tree(), "sum-aggregate")
    crossed = [key for key, source, target in planned.crossings() if {source, target} == {WEST, EAST}]
    assert len(crossed) + len([k for k, _, t in planned.crossings() if t == CLIENT]) <= 2
    assert ("sum-partial-1", 1) not in planned.graph
    assert all(planned.regions["x", number] == (WEST if number < 7 else EAST) for number in range(12))


def test_a_parted_tree_computes_the_same_in_the_same_order() -> None:
    def join(parts: list[Any]) -> str:
        return "".join(map(str, parts))

    graph = dict(plan(tree(function=join), "sum-aggregate").graph)
    values: dict[Any, Any] = {("x", number): "abcdefghijkl"[number] for number in range(12)}
    while len(values) < len(graph):
        for key, node in graph.items():
            if key not in values and node.dependencies <= values.keys():
                values[key] = node({name: values[name] for name in node.dependencies})
    assert values["sum-aggregate"] == "abcdefghijkl"


def test_a_step_that_somebody_else_needs_stays() -> None:
    tasks = [*tree(), task("other", ("sum-partial-1", 1))]
    planned = make_plan({node.key: node for node in tasks}, ["sum-aggregate", "other"], NOW)
    assert ("sum-partial-1", 1) in planned.graph
    assert all(name in planned.graph for node in planned.graph.values() for name in node.dependencies)


def test_regions_that_alternate_are_left_as_they_are() -> None:
    leaves: list[GraphNode] = [read(("x", number), (WEST, EAST)[number % 2]) for number in range(16)]
    step = combine(("sum-partial-1", 0), *(("x", number) for number in range(16)))
    planned = plan([*leaves, step, combine("last", ("sum-partial-1", 0))], "last")
    assert set(planned.graph["sum-partial-1", 0].dependencies) >= {("x", 0), ("x", 2)}


@pytest.mark.parametrize("axis", [0, (0, 1)], ids=["one axis", "two axes"])
def test_trees_of_dask_are_parted_without_a_change_of_values(axis: Any) -> None:
    west, east = (
        da.from_array(RegionArrayOfOnes(number, region), chunks=(1, 2), name=region, inline_array=True)
        for number, region in ((7, WEST), (6, EAST))
    )
    total = da.concatenate([west, east]).mean(axis=axis, split_every=2)
    expression = collections_to_expr([total]).optimize()
    graph = dict(expression.__dask_graph__())
    keys = [key for key in graph if isinstance(key, tuple) and key[0] == total.name]
    planned = make_plan(graph, keys, NOW)
    np.testing.assert_allclose(np.array(get_sync(planned.graph, keys)).squeeze(), 1.0)


class RegionArrayOfOnes:
    """An array that Dask slices, with the mark of a Region."""

    def __init__(self, rows: int, region: str) -> None:
        self.shape, self.dtype, self.ndim = (rows, 4), np.dtype("f8"), 2
        self.__dask_region__ = region

    def __getitem__(self, key: Any) -> Any:
        return np.ones(self.shape)[key]
