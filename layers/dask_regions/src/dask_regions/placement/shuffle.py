"""P2P rechunk and shuffle: inside one Region as Dask does it, across Regions by tasks.

P2P hands its output to every worker, or to those that the *barrier* is restricted to by address
(``ShuffleSchedulerPlugin._calculate_worker_for``), and looks at no resources: a rechunk inside one Region
would wait for ever for output tasks that may not run where their data are. :func:`install` makes it choose
among the workers of the barrier's Region, each time that a run starts, so that later joiners count and a
worker that died does not. Across Regions P2P loses data when a worker leaves (distributed#8426), and has no
partial result that could cross instead of the chunks: :func:`replace_p2p`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from dask._task_spec import Alias
from dask.array.rechunk import old_to_new, plan_rechunk
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.optimization import cull
from distributed.shuffle._core import barrier_key
from distributed.shuffle._exceptions import P2PConsistencyError
from distributed.shuffle._rechunk import P2PRechunkLayer, _split_partials

from dask_regions.names import region_resource
from dask_regions.placement.situation import region_of_task

if TYPE_CHECKING:
    from dask._task_spec import GraphNode
    from dask.typing import Key
    from distributed.scheduler import Scheduler
    from distributed.shuffle._core import ShuffleSpec

__all__ = ["install", "replace_p2p", "task_based"]

_Chunks = tuple[tuple[float, ...], ...]
_Index = tuple[int, ...]
#: Bytes of an element: the layer does not know, and it matters only for how large steps between may be.
_ITEMSIZE = 8


def install(scheduler: Scheduler) -> None:
    """Let P2P choose among the workers of the barrier's Region.

    Notes
    -----
    Replaced on the instance of the scheduler's extension ``shuffle``: ``_calculate_worker_for``.
    """
    plugin = scheduler.extensions.get("shuffle")
    if plugin is None:
        return
    stock: Callable[[ShuffleSpec[Any]], dict[Any, str]] = plugin._calculate_worker_for

    def calculate_worker_for(spec: ShuffleSpec[Any]) -> dict[Any, str]:
        barrier = scheduler.tasks[barrier_key(spec.id)]
        region = region_of_task(barrier)
        if region is None or barrier.worker_restrictions:
            return stock(spec)
        barrier.worker_restrictions = _workers(scheduler, region)
        try:
            return stock(spec)
        finally:
            barrier.worker_restrictions = None

    vars(plugin).update(_calculate_worker_for=calculate_worker_for)


def _workers(scheduler: Scheduler, region: str) -> set[str]:
    """Return the addresses of a Region's workers, without those that are leaving where there are others."""
    members = set(scheduler.resources.get(region_resource(region), ()))
    if not members:
        raise P2PConsistencyError(
            f"pool {region} has no workers to receive a P2P shuffle; "
            f"scale it with: dask-regions scale {region} 1"
        )
    running = {ws.address for ws in scheduler.running}
    return members & running or members


def replace_p2p(graph: HighLevelGraph, is_mixed: Callable[[str], bool]) -> HighLevelGraph:
    """Replace P2P rechunks whose input comes from several Regions by task-based ones.

    Parameters
    ----------
    graph
        Not materialised; not changed.
    is_mixed
        Tells for the name of a layer whether its chunks come from several Regions; asked for the inputs of
        P2P rechunks.

    Returns
    -------
    HighLevelGraph
        With the same keys of output. The graph itself where nothing was to be replaced.
    """
    mixed = {
        name: layer
        for name, layer in graph.layers.items()
        if isinstance(layer, P2PRechunkLayer) and is_mixed(layer.name_input)
    }
    if not mixed:
        return graph
    layers = dict(graph.layers)
    for name, layer in mixed.items():
        layers[name] = MaterializedLayer(task_based(layer), annotations=layer.annotations)
    return HighLevelGraph(layers, graph.dependencies)


def task_based(layer: P2PRechunkLayer) -> Mapping[Key, GraphNode]:
    """Return the tasks that compute the same output as a P2P rechunk from the same input.

    Only inputs are read that the layer itself would read: a graph that was culled has no others.
    """
    old: _Chunks = layer.chunks_input
    new: _Chunks = layer.chunks
    if bool(layer.keepmap.all()) or _is_one_step(old, new):
        wanted = [tuple(map(int, index)) for index in np.argwhere(layer.keepmap)]
        return _rechunk(layer, old, new, (0,) * len(old), (0,) * len(new), wanted)
    tasks: dict[Key, GraphNode] = {}
    for partial in _split_partials(old_to_new(old, new)):
        first_old = tuple(axis.start for axis in partial.old)
        first_new = tuple(axis.start for axis in partial.new)
        wanted = [tuple(map(int, index)) for index in np.argwhere(layer.keepmap[partial.new])]
        if wanted:
            part_old = tuple(axis[part] for axis, part in zip(old, partial.old, strict=True))
            part_new = tuple(axis[part] for axis, part in zip(new, partial.new, strict=True))
            tasks.update(_rechunk(layer, part_old, part_new, first_old, first_new, wanted))
    return tasks


def _is_one_step(old: _Chunks, new: _Chunks) -> bool:
    return len(plan_rechunk(old, new, _ITEMSIZE)) == 1


def _rechunk(
    layer: P2PRechunkLayer,
    old: _Chunks,
    new: _Chunks,
    first_old: _Index,
    first_new: _Index,
    wanted: list[_Index],
) -> dict[Key, GraphNode]:
    """Rechunk a block of the input by Dask's own tasks, and give input and output the layer's keys."""
    placeholder = f"{layer.name}-input-{'-'.join(map(str, first_old))}"
    array = da.Array(HighLevelGraph({placeholder: {}}, {placeholder: set()}), placeholder, old, dtype="f8")
    rechunked = array.rechunk(new, method="tasks")
    inputs: dict[Key, Key] = {
        (placeholder, *index): (layer.name_input, *_shift(index, first_old)) for index in _indices(old)
    }
    outputs: dict[Key, Key] = {
        (rechunked.name, *index): (layer.name, *_shift(index, first_new)) for index in wanted
    }
    if rechunked is array:  # the chunks of this block stay as they are
        return {key: Alias(key, inputs[place]) for place, key in outputs.items()}
    tasks, _ = cull(rechunked.__dask_graph__().to_dict(), list(outputs))
    names = inputs | outputs
    return {
        names.get(key, key): task.substitute(names, key=names.get(key, key)) for key, task in tasks.items()
    }


def _indices(chunks: _Chunks) -> Iterator[_Index]:
    return product(*(range(len(axis)) for axis in chunks))


def _shift(index: _Index, by: _Index) -> _Index:
    return tuple(one + other for one, other in zip(index, by, strict=True))
