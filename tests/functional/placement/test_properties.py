"""Any computation over three Regions: NumPy's values, reads at home, and nothing crosses that need not.

``PROPERTY_EXAMPLES=1000 make test PYTEST_ARGS=tests/functional/placement/test_properties.py`` tries as many
new ones; without it, the same few each time.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client, wait
from hypothesis import HealthCheck, given, note, settings

import dask_regions
from testing.placement.least_crossing import Graph, Observer
from testing.placement.random_programs import Program, array_programs, names_for, xarray_programs

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "0"))
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("placement"),
    # Hypothesis saw the client's own threads use it.
    pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies"),
    pytest.mark.timeout(900 + 10 * EXAMPLES),  # to find the shortest program that fails takes a while
]
examples = settings(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)

CLIENT = "eu-west-2"
# Name, Region, shape and chunks (time, lat, lon): 150 to 250 kB each, in chunks of 29 to 61 kB.
ARRAYS = {
    "west": ("us-west-2", (32, 24, 40), (8, 24, 40)),
    "east": ("us-east-1", (32, 24, 40), (16, 12, 40)),
    "south": ("ap-southeast-2", (20, 24, 40), (6, 24, 30)),
}
SHAPES = {name: shape for name, (_, shape, _) in ARRAYS.items()}
SIZES = {name: dict(zip(("time", "lat", "lon"), shape, strict=True)) for name, shape in SHAPES.items()}
#: Bytes: scalars, indexers and lazy arrays that cross; half the smallest chunk.
SLACK = 16_000
#: Which placement makes the fewest bytes cross is an NP-hard question (multiway cut), answered here in linear
#: time: no program may miss the answer by more than the first factor, all of them together by the second.
EACH, TOGETHER = 1.5, 1.05


class World:
    """Three arrays, lazy and in memory, and what their cluster saw."""

    def __init__(self, client: Client, store: Callable[..., dict[str, Any]]) -> None:
        self.client = client
        generator = np.random.default_rng(0)
        self.values: dict[str, xr.DataArray] = {}
        self.lazy: dict[str, xr.DataArray] = {}
        for name, (region, shape, chunks) in ARRAYS.items():
            values = generator.normal(281.0, 10.0, shape)
            # No coordinates: arrays are combined by position.
            self.values[name] = xr.DataArray(values, dims=("time", "lat", "lon"), name=name)
            self.lazy[name] = dask_regions.open_dataset(store(self.values[name], region, chunks), client)[
                name
            ]
        self.observer = Observer(client, CLIENT)
        self.graphs: list[Graph] = []

    def check(self, program: Program, dialect: str) -> None:
        note(str(program))
        self.observer.known.clear()
        arrays = dialect == "array"
        lazy = {name: array.data if arrays else array for name, array in self.lazy.items()}
        plain = {name: array.data if arrays else array for name, array in self.values.items()}
        with warnings.catch_warnings():
            # Dask and NumPy comment on chunks and empty slices; the programs are random.
            warnings.simplefilter("ignore")
            wanted = program.run(plain | names_for(dialect, lambda x: x, lazy=False))
            with dask_regions.transfers(self.client) as moved:
                outputs = program.run(lazy | names_for(dialect, self.persist, lazy=True))
                got = self.compute(outputs)
        for result, expected in zip(got, wanted, strict=True):
            np.testing.assert_allclose(np.asarray(result), np.asarray(expected), rtol=1e-7, atol=1e-6)
        assert all(data == ran_in for data, ran_in in moved.reads)

    def persist(self, lazy: Any) -> Any:
        kept = self.client.persist(lazy)
        wait(kept)
        self.judge(self.observer.take(gathered=False))
        return kept

    def compute(self, outputs: list[Any]) -> list[Any]:
        got: list[Any] = self.client.gather(self.client.compute(outputs))
        self.judge(self.observer.take(gathered=True))
        return got

    def judge(self, graph: Graph) -> None:
        """Hold a graph to what placement promises.

        - A task whose data are in one Region runs there, so that no chunk crosses where what is made of it in
          its Region alone is smaller.
        - A result enters a Region once at most.
        - Where a task needs data of several Regions, no other choice of Regions, for any of them together,
          makes much less cross: neither sending something smaller the other way, nor reducing before sending.
        """
        self.graphs.append(graph)
        assert not graph.misplaced(), str(graph)
        assert not graph.repeated(), str(graph)
        assert graph.crossed <= EACH * graph.minimum + SLACK, str(graph)


@pytest.fixture(scope="module")
def world(watched: Any, store: Callable[..., dict[str, Any]]) -> World:
    return World(watched.client, store)


PROGRAMS = {"xarray": xarray_programs(SIZES), "array": array_programs(SHAPES)}


@pytest.mark.parametrize("dialect", PROGRAMS)
def test_any_program(world: World, dialect: str) -> None:
    world.graphs.clear()

    @examples
    @given(program=PROGRAMS[dialect])
    def check(program: Program) -> None:
        world.check(program, dialect)

    check()
    crossed, minimum = (
        sum(getattr(graph, name) for graph in world.graphs) for name in ("crossed", "minimum")
    )
    assert crossed <= TOGETHER * minimum, f"{crossed:,} bytes crossed, {minimum:,} had to"
