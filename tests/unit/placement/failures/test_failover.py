"""Where the tasks of a lost pool continue."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from dask._task_spec import DataNode, Task, TaskRef

from dask_regions.placement.failures.failover import substitutes

WEST, EAST, SOUTH = "us-west-2", "us-east-1", "ap-southeast-2"


class Marked:
    """An array with a mark."""

    def __init__(self, *regions: str) -> None:
        self.__dask_region__ = regions if len(regions) > 1 else regions[0]
        self.nbytes = 100


class Node(SimpleNamespace):
    """What is read of a task state; everything is restricted to the West unless said otherwise."""

    def __init__(
        self, key: str, *inputs: Node, holds: object = None, region: str = WEST, **more: Any
    ) -> None:
        spec: Any = Task(key, print, holds, *(TaskRef(dependency.key) for dependency in inputs))
        state = {
            "key": key,
            "run_spec": spec,
            "dependencies": set(inputs),
            "dependents": set(),
            "resource_restrictions": {f"region-{region}": 0},
            "worker_restrictions": None,
            "host_restrictions": None,
            "annotations": None,
            "who_has": None,
            "nbytes": -1,
        }
        super().__init__(**(state | more))
        for dependency in inputs:
            dependency.dependents.add(self)

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


def moved(*nodes: Node, alive: tuple[str, ...] = (EAST, SOUTH), load: Any = None) -> dict[str, str]:
    regions: dict[Any, str] = substitutes(nodes, WEST, alive, load or {})  # type: ignore[arg-type]
    return {task.key: region for task, region in regions.items()}


def test_a_read_continues_where_a_replica_is_and_takes_along_what_follows() -> None:
    read = Node("read", holds=Marked(WEST, EAST))
    mean = Node("mean", read)
    assert moved(read, mean) == {"read": EAST, "mean": EAST}


def test_what_only_the_lost_region_holds_stays_with_all_that_needs_it() -> None:
    read, other = Node("read", holds=Marked(WEST)), Node("other", holds=Marked(WEST, EAST))
    mean, both = Node("mean", read), Node("both", read, other)
    after = Node("after", both)
    assert moved(read, other, mean, both, after) == {"other": EAST}


def test_a_replica_in_a_pool_without_workers_does_not_help() -> None:
    read = Node("read", holds=Marked(WEST, EAST))
    assert moved(read, alive=(SOUTH,)) == {}


def test_the_replica_beside_the_graph_s_other_data_is_taken() -> None:
    read = Node("read", holds=Marked(WEST, EAST, SOUTH))
    assert moved(read, load={SOUTH: 10, EAST: 1}) == {"read": SOUTH}
    assert moved(read) == {"read": EAST}


def test_an_array_that_several_reads_share_goes_with_them() -> None:
    array = Node("array", run_spec=DataNode("array", Marked(WEST, EAST)))
    reads = [Node(f"read-{number}", array) for number in range(3)]
    assert moved(array, *reads) == dict.fromkeys(["array", "read-0", "read-1", "read-2"], EAST)


def test_a_read_of_two_arrays_continues_where_both_are() -> None:
    both = [Marked(WEST, EAST, SOUTH), Marked(WEST, SOUTH)]
    assert moved(Node("read", holds=both)) == {"read": SOUTH}


def test_what_needs_no_data_goes_with_its_consumers_or_stays() -> None:
    ones, alone = Node("ones"), Node("alone")
    read = Node("read", holds=Marked(WEST, EAST))
    total = Node("sum", ones, read)
    assert moved(ones, alone, read, total) == {"ones": EAST, "read": EAST, "sum": EAST}


def test_a_result_that_another_region_has_does_not_hold_up_what_takes_it() -> None:
    read = Node("read", holds=Marked(WEST), who_has={"tcp://east"})
    elsewhere = Node("elsewhere", region=EAST, nbytes=100)
    assert moved(read, Node("sum", read, elsewhere)) == {"sum": EAST}


def test_a_task_between_regions_goes_where_most_of_its_inputs_are() -> None:
    small, large = Node("small", region=EAST, nbytes=10), Node("large", region=SOUTH, nbytes=100)
    assert moved(Node("sum", small, large)) == {"sum": SOUTH}


def test_what_the_user_pinned_stays() -> None:
    read = Node("read", holds=Marked(WEST, EAST))
    pins = [
        Node("resources", read, annotations={"resources": {f"region-{WEST}": 0}}),
        Node("region", read, annotations={"region": WEST}),
        Node("workers", read, worker_restrictions={"tcp://1"}),
    ]
    assert moved(read, *pins) == {"read": EAST}


def test_what_needs_another_resource_moves_too() -> None:
    read = Node("read", holds=Marked(WEST, EAST), annotations={"resources": {"GPU": 1}})
    assert moved(read) == {"read": EAST}
