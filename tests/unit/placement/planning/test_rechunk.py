"""P2P rechunks become task-based ones with the same keys."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from dask.base import annotate
from dask.core import flatten
from dask.local import get_sync
from distributed.shuffle import rechunk_p2p
from distributed.shuffle._rechunk import P2PRechunkLayer
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_regions.placement.planning.rechunk import replace_p2p

Chunks = tuple[tuple[int, ...], ...]


@st.composite
def chunks(draw: st.DrawFn, shape: tuple[int, ...]) -> Chunks:
    axes = []
    for length in shape:
        cuts = sorted(draw(st.sets(st.integers(1, length), max_size=6)) | {length})
        axes.append(tuple(int(width) for width in np.diff([0, *cuts])))
    return tuple(axes)


@st.composite
def rechunks(draw: st.DrawFn) -> tuple[Chunks, Chunks]:
    shape = tuple(draw(st.lists(st.integers(1, 20), min_size=1, max_size=3)))
    return draw(chunks(shape)), draw(chunks(shape))


def everything_mixed(_: str) -> bool:
    return True


def p2p_layers(graph: Any) -> int:
    return sum(isinstance(layer, P2PRechunkLayer) for layer in graph.layers.values())


@settings(deadline=None, max_examples=25)
@given(rechunks(), st.data())
def test_it_computes_what_the_rechunk_would_also_of_a_culled_graph(
    old_new: tuple[Chunks, Chunks], data: st.DataObject
) -> None:
    old, new = old_new
    values = np.arange(np.prod([sum(axis) for axis in old])).reshape([sum(axis) for axis in old])
    rechunked = rechunk_p2p(da.from_array(values, chunks=old), new)
    wanted = data.draw(st.lists(st.sampled_from(list(flatten(rechunked.__dask_keys__()))), min_size=1))
    graph = replace_p2p(rechunked.dask.cull(set(wanted)), everything_mixed)
    assert p2p_layers(graph) == 0
    for key, block in zip(wanted, get_sync(graph.to_dict(), wanted), strict=True):
        place = tuple(
            slice(sum(axis[:index]), sum(axis[: index + 1])) for axis, index in zip(new, key[1:], strict=True)
        )
        np.testing.assert_array_equal(block, values[place])


def test_only_what_is_mixed_is_replaced() -> None:
    first = rechunk_p2p(da.ones((40, 40), chunks=(4, 40)), ((40,), (4,) * 10))
    second = rechunk_p2p(da.zeros((40, 40), chunks=(4, 40)), ((40,), (4,) * 10))
    graph = (first + second).dask
    assert p2p_layers(graph) == 2
    mixed = graph.layers[first.name].name_input  # type: ignore[attr-defined, unused-ignore]
    replaced = replace_p2p(graph, lambda name: name == mixed)
    assert p2p_layers(replaced) == 1
    assert isinstance(replaced.layers[second.name], P2PRechunkLayer)
    assert replaced.layers[first.name].get_output_keys() >= set(flatten(first.__dask_keys__()))
    assert p2p_layers(graph) == 2, "the graph that was given is not changed"


def test_a_graph_without_mixed_rechunks_is_returned_as_it_is() -> None:
    graph = rechunk_p2p(da.ones((40, 40), chunks=(4, 40)), ((40,), (4,) * 10)).dask
    assert replace_p2p(graph, lambda _: False) is graph


def test_annotations_stay_with_the_layer() -> None:
    with annotate(priority=3):
        array = rechunk_p2p(da.ones((40, 40), chunks=(4, 40)), ((40,), (4,) * 10))
    replaced = replace_p2p(array.dask, everything_mixed)
    assert replaced.layers[array.name].annotations == array.dask.layers[array.name].annotations
