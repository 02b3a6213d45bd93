"""What planning uses of Dask, Distributed, xarray and flox beyond their documented interfaces.

A failure here after an upgrade says which module to look at.
"""

from __future__ import annotations

import asyncio
import inspect
import pickle
from contextvars import ContextVar
from typing import Any

import dask.array as da
import distributed.scheduler
import pytest
import xarray as xr
from dask._expr import FinalizeCompute, ProhibitReuse
from dask._task_spec import Alias, DataNode, GraphNode, List, Task, TaskRef, _execute_subgraph
from dask.base import collections_to_expr
from dask.core import flatten
from dask.delayed import delayed
from dask.highlevelgraph import HighLevelGraph
from dask.typing import Key
from distributed import Client, Scheduler
from distributed.utils import offload

from dask_regions.placement.planning.layers import graphs_of
from dask_regions.placement.planning.sizes import _FINALIZE_PREFIX, _intermediates, layer_blocks
from dask_regions.placement.planning.stages.regrouping import _COMBINE, _entries
from testing.waiting import WAIT_SECONDS

pytestmark = pytest.mark.xdist_group("placement")


def materialised(*collections: Any) -> dict[Key, Any]:
    """Return the low-level graph that a scheduler makes of collections."""
    expression = FinalizeCompute(collections_to_expr(list(collections))).optimize()
    graph, _ = distributed.scheduler._materialize_graph(pickle.loads(pickle.dumps(expression)), False)
    return dict(graph)


def months(steps: int) -> xr.DataArray:
    """Return a series whose groups of months flox reduces in cohorts."""
    time = xr.date_range("2000-01-01", periods=steps, freq="3D")
    return xr.DataArray(da.zeros((steps, 3), chunks=(5, 3)), dims=("time", "x"), coords={"time": time})


def test_the_scheduler_materialises_by_a_function_of_its_module() -> None:
    look = "look at hooks/scheduler/materialize.py: it replaces distributed.scheduler._materialize_graph"
    assert list(inspect.signature(distributed.scheduler._materialize_graph).parameters) == [
        "expr",
        "validate",
    ], look
    source = inspect.getsource(Scheduler.update_graph)
    assert "await offload(\n                _materialize_graph,\n                expr=expr," in source, look
    assert source.index("_materialize_graph") < source.index("_create_taskstate_from_graph"), look


async def test_graphs_arrive_by_a_stream_handler_with_the_keys_that_are_wanted(scheduler: Scheduler) -> None:
    look = "look at hooks/scheduler/materialize.py: it replaces stream_handlers['update-graph']"
    calls: list[dict[str, Any]] = []
    arrived = asyncio.Event()

    async def recorded(**arguments: Any) -> None:
        calls.append(arguments)
        arrived.set()
        await scheduler.update_graph(**arguments)

    scheduler.stream_handlers["update-graph"] = recorded
    async with Client(scheduler.address, asynchronous=True) as client:
        future = client.submit(int)
        await asyncio.wait_for(arrived.wait(), WAIT_SECONDS)
        assert [call["keys"] for call in calls] == [{future.key}], look


async def test_the_offload_thread_inherits_context_variables() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)
    variable.set(1)
    assert await offload(variable.get) == 1, "look at hooks/scheduler/materialize.py: _handover"


def test_a_collections_graph_is_found_in_its_expression_and_has_layers_with_chunks() -> None:
    array = da.ones((4, 4), chunks=2) + 1
    expression = FinalizeCompute(collections_to_expr([array])).optimize()
    graphs = list(graphs_of(expression))
    assert graphs, "look at planning/layers.py: graphs_of"
    assert isinstance(graphs[0], HighLevelGraph)
    blocks = layer_blocks(graphs[0].layers[array.name])
    assert blocks is not None, "look at planning/sizes.py: layer_blocks reads collection_annotations"
    assert blocks.nbytes((0, 1)) == 2 * 2 * 8


def test_the_first_layer_of_a_reduction_says_which_axes_it_reduces() -> None:
    mean = da.ones((40, 3), chunks=(4, 3)).mean(axis=0)
    (chunk,) = (layer for name, layer in mean.dask.layers.items() if name.startswith("mean_chunk"))
    blocks = layer_blocks(chunk)
    assert blocks is not None
    assert blocks.nbytes((0, 0)) == 2 * 3 * 8, "look at planning/sizes.py: _reduced and _INTERMEDIATES"


def test_flox_names_its_steps_and_functions() -> None:
    graph = months(400).groupby("time.month").mean().data.dask
    look = "look at planning/sizes.py (_INTERMEDIATES, _of_group_step) and stages/regrouping.py (_COMBINE)"
    chunks = [layer for name, layer in graph.layers.items() if "-chunk" in name]
    assert [_intermediates(layer.task) for layer in chunks] == [2], look
    steps_of_tree = [
        key
        for layer in graph.layers.values()
        for key in layer
        if isinstance(key, tuple) and _COMBINE.search(str(key[0]))
    ]
    assert steps_of_tree, look


def test_a_fused_task_holds_its_graph_its_result_and_its_inputs() -> None:
    fused = GraphNode.fuse(Task("a", abs, TaskRef("x")), Task("k", abs, TaskRef("a")))
    look = "look at planning/fused.py"
    assert isinstance(fused, Task), look
    assert fused.func is _execute_subgraph, look
    assert [fused.args[0].keys(), *fused.args[1:]] == [{"a", "k"}, "k", ("x",), TaskRef("x")], look


def test_blocks_of_a_fused_layer_share_one_graph_whose_keys_are_names_and_axes() -> None:
    graph = materialised((da.ones((4, 4), chunks=2) + 1).sum(axis=0))
    fused = [node.args[0] for node in graph.values() if getattr(node, "func", None) is _execute_subgraph]
    of_add = [inner for inner in fused if any(str(key).startswith("add-") for key in inner)]
    assert all(any(str(key).endswith("_.0_.1") for key in inner) for inner in of_add), (
        "look at planning/sizes.py: of_block"
    )
    assert len({id(inner) for inner in of_add}) == 1, (
        "look at planning/payload.py: the memo of what was walked"
    )


def test_a_tree_reductions_steps_are_named_and_take_a_list() -> None:
    graph = materialised(da.ones((64, 2), chunks=(1, 2)).sum(axis=0))
    steps = [node for key, node in graph.items() if isinstance(key, tuple) and _COMBINE.search(str(key[0]))]
    look = "look at planning/stages/regrouping.py: _COMBINE, _step and _entries"
    assert steps, look
    assert all(_entries(node.args[0]) is not None for node in steps), look
    assert _entries(List(TaskRef("a"))) == (TaskRef("a"),), look


def test_results_are_put_together_by_a_task_of_this_name() -> None:
    graph = materialised(da.ones(4, chunks=2))
    assert any(str(key).startswith(_FINALIZE_PREFIX) for key in graph), (
        "look at planning/sizes.py: _FINALIZE_PREFIX"
    )


def test_delayed_objects_are_wrapped_where_they_must_not_be_reused() -> None:
    graph = materialised(delayed(sum)(da.ones(4, chunks=2)))
    look = "look at planning/fused.py: unwrap"
    wrapped = [node for node in graph.values() if getattr(node, "func", None) is ProhibitReuse._identity]
    assert wrapped, look
    assert all(isinstance(node.args[0], GraphNode) for node in wrapped), look


def test_nodes_that_hold_a_value_or_another_name_are_what_they_were() -> None:
    assert DataNode("k", 1).value == 1, "look at planning/stages/reading.py"
    assert Alias("k", "target").target == "target", "look at planning/problem.py: _delivered"


def test_wanted_keys_of_blocks_are_tuples_and_of_results_are_not() -> None:
    array = da.ones(4, chunks=2)
    look = "look at planning/problem.py: is_result tells compute from persist by it"
    persisted = collections_to_expr([array]).optimize()
    assert all(isinstance(key, tuple) for key in flatten(persisted.__dask_keys__())), look
    computed = FinalizeCompute(collections_to_expr([array])).optimize()
    assert not any(isinstance(key, tuple) for key in flatten(computed.__dask_keys__())), look
