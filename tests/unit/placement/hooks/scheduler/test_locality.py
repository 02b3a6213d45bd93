"""Who may steal, decided on stand-ins for the scheduler's states."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dask_regions.placement.hooks.scheduler.locality import Locality

WEST, EAST = "us-west-2", "us-east-1"


def worker(region: str) -> Any:
    return SimpleNamespace(resources={f"region-{region}": 1})


def stolen(holder: Any, victim: Any, thief: Any, restrictions: Any) -> bool:
    locality = Locality.__new__(Locality)
    locality._stock_thief = lambda _, __, thieves, **___: next(iter(thieves), None)
    dependency = SimpleNamespace(who_has=[holder])
    task = SimpleNamespace(
        dependencies=[dependency], processing_on=victim, resource_restrictions=restrictions
    )
    chosen = locality.get_thief(None, task, _Workers([thief]), occupancies={})  # type: ignore[arg-type]
    return chosen is thief


class _Workers(list[Any]):
    """Stands for a set of workers that cannot be hashed."""


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "free"])
def test_a_task_whose_input_is_on_its_way_from_another_region_is_not_stolen(bound: bool) -> None:
    restrictions = {f"region-{WEST}": 0} if bound else None
    victim, thief = worker(WEST), worker(WEST)
    assert not stolen(worker(EAST), victim, thief, restrictions)


def test_a_task_whose_inputs_are_in_the_region_is_stolen_there() -> None:
    assert stolen(worker(WEST), worker(WEST), worker(WEST), {f"region-{WEST}": 0})


def test_a_worker_that_asks_again_learns_of_the_other_regions() -> None:
    sent: list[dict[str, Any]] = []
    near, far = (SimpleNamespace(**vars(worker(r)), address=r, last_seen=float("inf")) for r in (WEST, EAST))
    locality = Locality.__new__(Locality)
    locality._asked = set()
    locality._scheduler = SimpleNamespace(  # type: ignore[assignment]
        workers={"w": worker(WEST)},
        tasks={"key": SimpleNamespace(who_has=[near, far])},
        stream_comms={"w": SimpleNamespace(send=sent.append)},
    )
    for _ in range(2):
        locality.refresh_who_has(["key"], "w", "stimulus")
    assert [message["who_has"]["key"] for message in sent] == [[WEST], [WEST, EAST]]
