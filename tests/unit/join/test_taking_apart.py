"""A system is taken apart by the command while the state machine goes on."""

from __future__ import annotations

import pytest

from dask_regions.join.planning import plan
from testing.joining import ROUNDS, converge, deployed

WEST, EAST = "us-west-2", "us-east-1"


@pytest.mark.parametrize("kind", ["peering", "transit-gateway"])
def test_taking_apart_settles_beside_the_state_machine(kind: str) -> None:
    world = deployed(WEST, EAST, kind=kind)
    converge(world)
    for _ in range(ROUNDS):
        for look in (world.take_apart, world.observe):
            for call in plan(look()).calls:
                world.make(call)
        world.tick()
    assert plan(world.take_apart()).settled
    assert plan(world.observe()).settled
