"""What the plugin counts, with a scheduler that only stands there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dask_regions.errors import ConfigurationError
from dask_regions.placement.hooks.scheduler import plugin as plugin_module
from dask_regions.placement.hooks.scheduler.plugin import PlacementPlugin, records

WEST = "us-west-2"


class FakeScheduler:
    """What the plugin reads of a scheduler."""

    def __init__(self) -> None:
        self.address = "tcp://scheduler:8786"
        self.tasks: dict[str, Any] = {}
        self.workers: dict[str, Any] = {}
        self.plugins: dict[str, Any] = {}


@pytest.fixture
def scheduler() -> FakeScheduler:
    return FakeScheduler()


@pytest.fixture
def plugin(scheduler: FakeScheduler) -> PlacementPlugin:
    plugin = PlacementPlugin(scheduler, "eu-west-2")  # type: ignore[arg-type]
    scheduler.plugins[plugin.name] = plugin
    return plugin


def test_finished_tasks_are_counted_where_they_ran(scheduler: FakeScheduler, plugin: PlacementPlugin) -> None:
    scheduler.workers["tcp://1"] = SimpleNamespace(resources={f"region-{WEST}": 1})
    scheduler.workers["tcp://2"] = SimpleNamespace(resources={})
    scheduler.tasks["x"] = SimpleNamespace(key="x", resource_restrictions=None)
    for address in scheduler.workers:
        plugin.add_worker(scheduler, address)  # type: ignore[arg-type]
        plugin.transition("x", "processing", "memory", stimulus_id="s", worker=address)
    recorded = records(scheduler)  # type: ignore[arg-type]
    assert recorded.tasks == {WEST: 1, "eu-west-2": 1}
    assert recorded.workers == {"tcp://1": WEST, "tcp://2": "eu-west-2"}
    assert recorded.reads == {}


@pytest.mark.parametrize("reads", [False, True])
def test_a_task_that_moves_takes_its_other_restrictions_along_and_is_counted(
    scheduler: FakeScheduler, plugin: PlacementPlugin, reads: bool
) -> None:
    task: Any = SimpleNamespace(key="x", resource_restrictions={"GPU": 1})
    scheduler.tasks["x"] = task
    plugin._restrict(task, "us-east-1", reads=reads)
    plugin.move(task, WEST)
    assert task.resource_restrictions == {"GPU": 1, f"region-{WEST}": 0}
    scheduler.workers["tcp://1"] = SimpleNamespace(resources={f"region-{WEST}": 1})
    plugin.add_worker(scheduler, "tcp://1")  # type: ignore[arg-type]
    plugin.transition("x", "processing", "memory", stimulus_id="s", worker="tcp://1")
    assert records(scheduler).reads == ({(WEST, WEST): 1} if reads else {})  # type: ignore[arg-type]


def test_workers_that_left_long_ago_are_forgotten(
    scheduler: FakeScheduler, plugin: PlacementPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_module, "_MAX_WORKERS", 3)
    stays = "tcp://0"
    for number in range(10):
        address = f"tcp://{number}"
        scheduler.workers[address] = SimpleNamespace(resources={f"region-{WEST}": 1})
        plugin.add_worker(scheduler, address)  # type: ignore[arg-type]
        if address != stays:
            del scheduler.workers[address]
    assert list(records(scheduler).workers) == [stays, "tcp://8", "tcp://9"]  # type: ignore[arg-type]


def test_a_scheduler_without_placement_is_named(scheduler: FakeScheduler) -> None:
    scheduler.address = "tcp://plain:8786"
    with pytest.raises(ConfigurationError, match=r"tcp://plain:8786 .* start it with"):
        records(scheduler)  # type: ignore[arg-type]
