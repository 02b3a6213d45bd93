"""What the plugin counts and reports, with a scheduler that only stands there."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dask_regions.errors import ConfigurationError
from dask_regions.names import POOL_TOPIC
from dask_regions.placement import plugin as plugin_module
from dask_regions.placement.plugin import PlacementPlugin, records

WEST, EAST = "us-west-2", "us-east-1"


class FakeScheduler:
    """Keeps timers until they are fired, and the events that are logged."""

    def __init__(self) -> None:
        self.address = "tcp://scheduler:8786"
        self.tasks: dict[str, Any] = {}
        self.workers: dict[str, Any] = {}
        self.running: set[Any] = set()
        self.events: list[dict[str, Any]] = []
        self.timers: list[Callable[[], None]] = []
        self.plugins: dict[str, Any] = {}
        self.loop = SimpleNamespace(call_later=self._call_later, remove_timeout=self.timers.remove)

    def _call_later(self, _: float, function: Callable[..., None], *arguments: Any) -> Callable[[], None]:
        def fire() -> None:
            function(*arguments)

        self.timers.append(fire)
        return fire

    def fire(self) -> None:
        timers, self.timers[:] = list(self.timers), []
        for timer in timers:
            timer()

    def log_event(self, topic: str, message: dict[str, Any]) -> None:
        assert topic == POOL_TOPIC
        self.events.append(message)

    def add_task(self, key: str, region: str | None) -> None:
        restrictions = {f"region-{region}": 0} if region else None
        self.tasks[key] = SimpleNamespace(resource_restrictions=restrictions)


@pytest.fixture
def scheduler() -> FakeScheduler:
    return FakeScheduler()


@pytest.fixture
def plugin(scheduler: FakeScheduler) -> PlacementPlugin:
    plugin = PlacementPlugin(scheduler, "eu-west-2")  # type: ignore[arg-type]
    scheduler.plugins[plugin.name] = plugin
    return plugin


def wait_in_vain(scheduler: FakeScheduler, plugin: PlacementPlugin, *keys: str, region: str = WEST) -> None:
    for key in keys:
        scheduler.add_task(key, region)
        plugin.transition(key, "waiting", "no-worker", stimulus_id="s")


def test_an_empty_pool_is_reported_once(scheduler: FakeScheduler, plugin: PlacementPlugin) -> None:
    wait_in_vain(scheduler, plugin, "a", "b")
    assert not scheduler.events
    scheduler.fire()
    wait_in_vain(scheduler, plugin, "c")
    scheduler.fire()
    assert [event["message"] for event in scheduler.events] == [
        "pool us-west-2 has no workers; 2 tasks wait. Scale it with: dask-regions scale us-west-2 1"
    ]


def test_each_empty_pool_is_reported(scheduler: FakeScheduler, plugin: PlacementPlugin) -> None:
    wait_in_vain(scheduler, plugin, "a")
    wait_in_vain(scheduler, plugin, "b", region=EAST)
    scheduler.fire()
    assert [event["region"] for event in scheduler.events] == [WEST, EAST]


def test_a_pool_that_comes_back_in_time_is_not_reported(
    scheduler: FakeScheduler, plugin: PlacementPlugin
) -> None:
    wait_in_vain(scheduler, plugin, "a")
    plugin.transition("a", "no-worker", "processing", stimulus_id="s")
    scheduler.fire()
    assert not scheduler.events


def test_a_reported_pool_is_reported_served_and_may_be_empty_again(
    scheduler: FakeScheduler, plugin: PlacementPlugin
) -> None:
    wait_in_vain(scheduler, plugin, "a", "b")
    scheduler.fire()
    for key in "ab":
        plugin.transition(key, "no-worker", "processing", stimulus_id="s")
    wait_in_vain(scheduler, plugin, "c")
    scheduler.fire()
    assert [event["state"] for event in scheduler.events] == ["empty", "served", "empty"]


def test_a_wait_that_is_given_up_ends_without_a_word(
    scheduler: FakeScheduler, plugin: PlacementPlugin
) -> None:
    wait_in_vain(scheduler, plugin, "a")
    scheduler.fire()
    plugin.transition("a", "no-worker", "released", stimulus_id="s")
    assert [event["state"] for event in scheduler.events] == ["empty"]


def test_a_wait_for_something_else_than_a_pool_is_not_reported(
    scheduler: FakeScheduler, plugin: PlacementPlugin
) -> None:
    scheduler.add_task("gpu", None)
    plugin.transition("gpu", "waiting", "no-worker", stimulus_id="s")
    assert not scheduler.timers


def test_finished_tasks_are_counted_where_they_ran(scheduler: FakeScheduler, plugin: PlacementPlugin) -> None:
    scheduler.workers["tcp://1"] = SimpleNamespace(resources={f"region-{WEST}": 1})
    scheduler.workers["tcp://2"] = SimpleNamespace(resources={})
    for address in scheduler.workers:
        plugin.add_worker(scheduler, address)  # type: ignore[arg-type]
        plugin.transition("x", "processing", "memory", stimulus_id="s", worker=address)
    found = records(scheduler)  # type: ignore[arg-type]
    assert found.tasks == {WEST: 1, "eu-west-2": 1}
    assert found.workers == {"tcp://1": WEST, "tcp://2": "eu-west-2"}
    assert found.reads == {}


async def test_closing_stops_the_timers(scheduler: FakeScheduler, plugin: PlacementPlugin) -> None:
    wait_in_vain(scheduler, plugin, "a")
    await plugin.before_close()
    assert not scheduler.timers


def test_who_comes_later_to_an_empty_pool_is_told_too(
    scheduler: FakeScheduler, plugin: PlacementPlugin
) -> None:
    wait_in_vain(scheduler, plugin, "a")
    scheduler.fire()
    plugin.update_graph(scheduler, tasks=[])  # type: ignore[arg-type]
    wait_in_vain(scheduler, plugin, "b")
    scheduler.fire()
    assert [event["tasks"] for event in scheduler.events] == [1, 2]


def test_workers_that_left_long_ago_are_forgotten(
    scheduler: FakeScheduler, plugin: PlacementPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_module, "_REMEMBERED", 3)
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
