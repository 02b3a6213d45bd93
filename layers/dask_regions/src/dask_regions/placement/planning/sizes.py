"""How many bytes the results of a graph's tasks have, as far as its layers tell."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from dask._task_spec import DataNode, GraphNode
from dask.typing import Key
from toolz.functoolz import Compose

from dask_regions.placement.planning.fused import Inside, inside

__all__ = ["UNKNOWN_BYTES", "Sizes", "layer_blocks"]

#: Size of a result about which nothing is known, and of a task that only holds an array to read.
UNKNOWN_BYTES = 1000.0

#: Tasks that Dask adds to put a collection's results together are named so (dask._expr.FinalizeCompute).
_FINALIZE_PREFIX = "finalize-"

#: Arrays in the intermediate results of reductions, which are dicts or tuples: mean keeps sum and count,
#: moments keep count, total and moment (dask.array.reductions).
_INTERMEDIATES = {
    "mean_chunk": 2,
    "mean_combine": 2,
    "moment_chunk": 3,
    "moment_combine": 3,
    "arg_chunk": 2,
    "arg_combine": 2,
    # flox: sum and count, for a mean
    "chunk_reduce": 2,
}
# Steps of flox's tree reductions: it writes one group down for them, however many there are.
_NO_CHUNKS = frozenset({"_simple_combine", "_grouped_combine"})


@dataclass(frozen=True)
class Blocks:
    """The sizes of the blocks of one layer.

    Attributes
    ----------
    chunks
        Number of elements along each axis, block by block.
    itemsize
        Bytes of an element.
    """

    chunks: tuple[tuple[float, ...], ...]
    itemsize: float

    def nbytes(self, index: tuple[Any, ...]) -> float | None:
        """Return the bytes of one block, or None where the layer does not tell."""
        if len(index) != len(self.chunks):
            return None
        try:
            nbytes = self.itemsize * math.prod(
                edges[number] for edges, number in zip(self.chunks, index, strict=True)
            )
        except (IndexError, TypeError):
            return None
        return None if math.isnan(nbytes) else nbytes


def layer_blocks(layer: Any) -> Blocks | None:
    """Return the blocks of a layer of a HighLevelGraph, or None where they are not known.

    Notes
    -----
    Dask writes ``chunks`` and ``dtype`` of an array into ``Layer.collection_annotations``
    (``dask.array.core.Array.__new__``, 2026.8.0). The first layer of a reduction is written down with the
    chunks of its input: the axes it reduces are in the keywords of its task.
    """
    annotations = layer.collection_annotations or {}
    chunks, dtype = annotations.get("chunks"), annotations.get("dtype")
    if not chunks or dtype is None:
        return None
    task = _a_task(layer)
    if _function_name(task) in _NO_CHUNKS:
        return None
    itemsize = float(np.dtype(dtype).itemsize) * _intermediates(task)
    return Blocks(_reduced(chunks, task), itemsize)


def _a_task(layer: Any) -> Any:
    if hasattr(layer, "task"):
        return layer.task  # of a Blockwise, without making its blocks
    return next(iter(layer.mapping.values()), None) if hasattr(layer, "mapping") else None


def _intermediates(task: Any) -> int:
    return _INTERMEDIATES.get(_function_name(task), 1)


def _function_name(task: Any) -> str:
    """Return the name of what a task calls first, below what it is wrapped in."""
    function = getattr(task, "func", None)
    if function is None and isinstance(task, tuple) and task:
        function = task[0]
    while isinstance(function, (partial, Compose)):
        function = function.func if isinstance(function, partial) else function.first
    return getattr(function, "__name__", "")


def _reduced(chunks: Any, task: Any) -> tuple[tuple[float, ...], ...]:
    keywords: Mapping[str, Any] = getattr(task, "kwargs", None) or {}
    if keywords.get("keepdims") is not True:
        return tuple(tuple(edges) for edges in chunks)
    axis = keywords.get("axis")
    axes = {axis} if isinstance(axis, int) else set(axis or range(len(chunks)))
    return tuple((1,) * len(edges) if number in axes else tuple(edges) for number, edges in enumerate(chunks))


@dataclass
class Sizes:
    """Estimates the bytes of results.

    Attributes
    ----------
    blocks
        Name of a layer to its blocks.
    known
        Bytes of a key that the scheduler has, or None.
    read
        Bytes that a task reads, as far as nothing better is known of its result, or None.
    names
        Tasks that were taken out of fused ones: key to its name there, and the key of that task.
    """

    blocks: Mapping[str, Blocks] = field(default_factory=dict)
    known: Callable[[Key], float | None] = lambda _: None
    read: Callable[[Key], float | None] = lambda _: None
    names: Mapping[Key, tuple[Key, Key]] = field(default_factory=dict)
    _estimates: dict[Key, float] = field(default_factory=dict)

    def of(self, key: Key, graph: Mapping[Key, GraphNode]) -> float:
        """Estimate the bytes of one result.

        From its layer; else, where it puts results together for the client, the sum of its inputs; else
        as large as its largest input, which is too much for a reduction, in each Region alike.
        """
        estimates = self._estimates
        stack = [key]
        while stack:
            top = stack[-1]
            if top in estimates:
                stack.pop()
                continue
            own = self._own(top, graph.get(top))
            if own is None:
                inputs = graph[top].dependencies
                if missing := [dependency for dependency in inputs if dependency not in estimates]:
                    stack += missing
                    continue
                together = sum if str(top).startswith(_FINALIZE_PREFIX) else max
                own = together([estimates[dependency] for dependency in inputs] or [UNKNOWN_BYTES])
            estimates[top] = own
            stack.pop()
        return estimates[key]

    def _own(self, key: Key, node: GraphNode | None) -> float | None:
        if node is None:
            return self.known(key) or UNKNOWN_BYTES
        if isinstance(node, DataNode):
            return float(node.value.nbytes or UNKNOWN_BYTES) if _is_loaded(node.value) else UNKNOWN_BYTES
        own = self.of_block(*self.names.get(key, (key, key)))
        if own is None and (fused := inside(node)) is not None:
            own = self._of_fused(fused, key)
        return self.read(key) if own is None else own

    def _of_fused(self, fused: Inside, key: Key) -> float | None:
        tasks, result = fused
        own = self.of_block(result, key)
        if own is None:
            # A finalization is fused with what makes its only input.
            within = [self.of_block(name, key) for name in tasks[result].dependencies if name in tasks]
            own = sum(filter(None, within)) or None
        return own

    def of_block(self, name: Key, outer: Key) -> float | None:
        """Return the bytes of a block by its key, or None where its layer does not tell.

        Inside a fused layer, whose blocks share one subgraph, keys are ``<layer>_.<axis>_.<axis>`` or just
        the layer's name: the index is taken from that of the task around it, ``outer``.
        """
        if isinstance(name, tuple):
            layer, *index = name
        else:
            around = outer[1:] if isinstance(outer, tuple) else ()
            layer, *axes = str(name).split("_.")
            index = [around[int(axis)] for axis in axes if axis.isdigit() and int(axis) < len(around)]
            index = index if axes else list(around)
        # Copies for a delayed object have a suffix (dask._expr.ProhibitReuse).
        blocks = self.blocks.get(str(layer)) or self.blocks.get(str(layer).rpartition("-")[0])
        if blocks is None:
            return self._of_group_step(str(layer))
        return blocks.nbytes(tuple(index))

    def _of_group_step(self, layer: str) -> float | None:
        # flox names the steps of its tree reductions after the result, and writes no chunks down for them.
        result, step, _ = layer.partition("-partial-")
        blocks = self.blocks.get(re.sub(r"-\d+$", "", result)) if step else None
        nbytes = None if blocks is None else blocks.nbytes((0,) * len(blocks.chunks))
        return None if nbytes is None else _INTERMEDIATES["chunk_reduce"] * nbytes


def _is_loaded(value: object) -> bool:
    return isinstance(value, (np.ndarray, np.generic))
