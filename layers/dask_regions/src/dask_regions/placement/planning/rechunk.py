"""P2P rechunks whose input comes from several Regions, as task-based ones with the same keys.

P2P has no partial result that could cross instead of the chunks; and it is reported to have lost rows on
several nodes (distributed#8426, open).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
from dask._task_spec import Alias
from dask.array.rechunk import old_to_new, plan_rechunk
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.optimization import cull
from distributed.shuffle._rechunk import P2PRechunkLayer, _split_partials

if TYPE_CHECKING:
    from dask._task_spec import GraphNode
    from dask.typing import Key

__all__ = ["replace_p2p", "task_based"]

_Chunks = tuple[tuple[float, ...], ...]
_Index = tuple[int, ...]
#: Size of an element: the layer does not know it, and it matters only for how large steps between may be.
_ITEM_BYTES = 8


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
    return len(plan_rechunk(old, new, _ITEM_BYTES)) == 1


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
    return tuple(position + offset for position, offset in zip(index, by, strict=True))
