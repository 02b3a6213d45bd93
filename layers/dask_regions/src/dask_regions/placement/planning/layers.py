"""Prepare the layers of a graph before Dask optimises them, on the scheduler.

Dask fuses neighbouring layers of equal annotations. Every layer is annotated with the Regions that its
data come from, so that no task is fused that takes the data of two: the smaller result would be lost
inside it, and what crosses would be its input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from dask._expr import Expr
from dask._task_spec import TaskRef
from dask.blockwise import Blockwise
from dask.highlevelgraph import HighLevelGraph, Layer
from dask.typing import Key

from dask_regions.names import REGION_ANNOTATION
from dask_regions.placement.planning.payload import Memo, find_markers
from dask_regions.placement.planning.rechunk import replace_p2p
from dask_regions.placement.planning.sizes import Blocks, layer_blocks

__all__ = ["annotate_layers", "graphs_of", "pins"]

#: Tells the Region of a key of an earlier graph, or None where nobody knows.
RegionOf = Callable[[Key], str | None]


def graphs_of(expression: Any) -> Iterator[HighLevelGraph]:
    """Yield the HighLevelGraphs in an expression.

    Notes
    -----
    Collections of Dask, except dask.dataframe's, reach the scheduler as a HighLevelGraph in the operand
    ``dsk`` of an expression (``dask._expr.HLGExpr``, 2026.8.0).
    """
    stack = [expression]
    while stack:
        item = stack.pop()
        if isinstance(item, HighLevelGraph):
            yield item
        elif isinstance(item, Expr):
            stack.extend(item.operands)


def annotate_layers(graph: HighLevelGraph, region_of: RegionOf) -> dict[str, Blocks]:
    """Write into each layer which Regions its data come from, and return the layers' blocks.

    Parameters
    ----------
    graph
        Changed: the annotation ``region`` of its layers becomes a tuple of Regions, and P2P rechunks of
        data of several become task-based ones.
    region_of
        Tells the Region of futures that the graph holds.
    """
    memo: Memo = {}
    regions: dict[str, frozenset[str]] = {}
    blocks: dict[str, Blocks] = {}
    for name in graph._toposort_layers():
        layer = graph.layers[name]
        blocks_of_layer = layer_blocks(layer)
        if blocks_of_layer is not None:
            blocks[name] = blocks_of_layer
        regions[name] = _own_regions(layer, memo, region_of).union(
            *(regions.get(dependency, frozenset()) for dependency in graph.dependencies[name])
        )
        if regions[name]:
            layer.annotations = {**(layer.annotations or {}), REGION_ANNOTATION: tuple(sorted(regions[name]))}
    # P2P hands all of its output to the workers of one Region.
    replaced = replace_p2p(graph, lambda name: len(regions.get(name, ())) > 1)
    cast("dict[str, Layer]", graph.layers).update(replaced.layers)
    return blocks


def pins(annotations: dict[str, dict[Key, Any]]) -> Mapping[Key, str]:
    """Take the annotation ``region`` out of a graph's annotations; return what a user asked for.

    A user's is a string; those of :func:`annotate_layers` have done their work and would cost memory.
    """
    regions = annotations.pop(REGION_ANNOTATION, {})
    return {key: region for key, region in regions.items() if isinstance(region, str)}


def _own_regions(layer: Any, memo: Memo, region_of: RegionOf) -> frozenset[str]:
    own = (layer.annotations or {}).get(REGION_ANNOTATION)
    if isinstance(own, str):
        return frozenset({own})
    regions: set[str] = set()
    if isinstance(layer, Blockwise):
        for value in [layer.task, *(value for value, index in layer.indices if index is None)]:
            regions.update(*(marker.regions for marker in find_markers(value, memo)))
        return frozenset(regions)
    if not layer.is_materialized():
        return frozenset()
    for value in layer.values():
        regions.update(*(marker.regions for marker in find_markers(value, memo)))
        if is_future(value) and (region := region_of(value.key)) is not None:
            regions.add(region)
    return frozenset(regions)


def is_future(value: object) -> bool:
    """Whether a value of a graph stands for a key of an earlier one, as after ``persist``."""
    return isinstance(value, TaskRef)
