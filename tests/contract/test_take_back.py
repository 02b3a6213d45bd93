"""Schedulers and workers with placement differ from stock ones by the table, and once detached not at all."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any

import dask
import pytest
from distributed import Client, Event, Scheduler, Worker

from dask_regions.placement.hooks.overrides import OVERRIDES
from dask_regions.placement.hooks.replacing import Overrides, overrides_of
from dask_regions.placement.processes import scheduler_preload, worker_preload
from dask_regions.settings import Settings
from testing.dask_uses import PACKAGES

pytestmark = pytest.mark.xdist_group("placement")

WEST = "us-west-2"
#: They hold what is added: our own extensions, plugins and callbacks.
ADDED = ("extensions", "plugins", "periodic_callbacks")
_ABSENT = object()


def attributes(owner: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an instance, in slots and out of them, and the items of its dictionaries."""
    slots = {slot for each in type(owner).__mro__ for slot in getattr(each, "__slots__", ())}
    values = vars(owner) | {slot: getattr(owner, slot) for slot in slots if hasattr(owner, slot)}
    for attribute, value in values.items():
        yield f"{name}.{attribute}", value
        if isinstance(value, dict) and attribute not in ADDED:
            yield from ((f"{name}.{attribute}[{key}]", item) for key, item in value.items())


def name_of(owner: type) -> str:
    return f"{owner.__module__}.{owner.__qualname__}"


def of_process() -> Iterator[tuple[str, Any]]:
    """Yield what all schedulers and workers of this process share: modules, and the classes in them."""
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        if name.partition(".")[0] not in PACKAGES:
            continue
        for attribute, value in list(vars(module).items()):
            yield f"{name}.{attribute}", value
            if isinstance(value, dict) and not attribute.startswith("__"):
                yield from ((f"{name}.{attribute}[{key}]", item) for key, item in list(value.items()))
            if isinstance(value, type) and value.__module__ == name:
                yield from ((f"{name_of(value)}.{each}", item) for each, item in vars(value).items())


def snapshot(server: Scheduler | Worker) -> dict[str, Any]:
    """Return every attribute of a server, its extensions and callbacks, and of Dask's modules and classes."""
    values = dict(of_process())
    values |= attributes(server, name_of(type(server)))
    for extension in server.extensions.values():
        if type(extension).__module__.partition(".")[0] in PACKAGES:
            values |= attributes(extension, name_of(type(extension)))
    if (callback := server.periodic_callbacks.get("worker-ttl")) is not None:
        values["tornado.ioloop.PeriodicCallback.callback_time"] = callback.callback_time
    for added in ADDED:
        values[f"{added}, sorted"] = tuple(sorted(getattr(server, added)))
    return values


def differences(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Return what differs; of a dictionary that is another one, not its items besides."""
    names = {
        name
        for name in before.keys() | after.keys()
        if before.get(name, _ABSENT) is not after.get(name, _ABSENT)
        and not (isinstance(before.get(name), tuple) and before.get(name) == after.get(name))
    }
    return {name for name in names if "[" not in name or name.partition("[")[0] not in names}


def declared(module: Callable[[str], bool]) -> set[str]:
    return {override.target for override in OVERRIDES if module(override.module)}


@pytest.fixture
async def worker(scheduler: Scheduler) -> Any:
    async with Worker(
        scheduler.address, nthreads=1, resources={f"region-{WEST}": 1}, host="127.0.0.1"
    ) as worker:
        yield worker


async def test_what_is_done_to_a_scheduler_is_declared_and_taken_back(scheduler: Scheduler) -> None:
    before = snapshot(scheduler)
    # A scheduler of a process that has been attached before starts with our defaults.
    with dask.config.set({"distributed.scheduler.worker-ttl": "45s"}):
        scheduler_preload.attach(scheduler, Settings(aws_region="eu-west-2", no_workers_timeout=123.0))
    changed = differences(before, snapshot(scheduler)) - {f"{added}, sorted" for added in ADDED}
    assert changed == declared(lambda module: not module.startswith("worker.")), "look at hooks/overrides.py"
    scheduler_preload.detach(scheduler)
    # What is replaced for a scheduler, and where tasks are retired, is noted with it as long as it lives.
    assert differences(before, snapshot(scheduler)) == {"extensions, sorted"}
    scheduler_preload.detach(scheduler)


async def test_what_is_done_to_a_worker_is_declared_and_taken_back(worker: Worker) -> None:
    before = snapshot(worker)
    worker_preload.attach(worker, WEST)
    changed = differences(before, snapshot(worker)) - {f"{added}, sorted" for added in ADDED}
    assert changed == declared(lambda module: module.startswith("worker.") or module == "wire") | set()
    worker_preload.dask_teardown(worker)
    assert differences(before, snapshot(worker)) == {"extensions, sorted"}


async def test_what_a_process_shares_stays_until_the_last_gives_it_back(
    scheduler: Scheduler, worker: Worker
) -> None:
    before = dict(of_process())
    worker_preload.attach(worker, WEST)
    scheduler_preload.attach(scheduler, Settings(aws_region="eu-west-2"))
    worker_preload.detach(worker)
    assert declared(lambda module: module == "wire") <= differences(before, dict(of_process()))
    scheduler_preload.detach(scheduler)
    assert not differences(before, dict(of_process()))


async def test_tasks_that_wait_in_a_regions_queue_run_when_placement_is_taken_away(
    scheduler: Scheduler, worker: Worker
) -> None:
    scheduler.validate = True
    scheduler_preload.attach(scheduler, Settings(aws_region="eu-west-2"))
    async with Client(scheduler.address, asynchronous=True) as client:

        def wait_for_gate(number: int) -> int:
            Event("gate").wait(60)
            return number

        tasks = client.map(wait_for_gate, range(40), resources={f"region-{WEST}": 0}, key="bound")
        others = client.map(wait_for_gate, range(40), key="free")
        while len(scheduler.queued) < 70:  # noqa: ASYNC110  the scheduler announces none of it
            await asyncio.sleep(0.01)
        scheduler_preload.detach(scheduler)
        assert {ts.state for ts in scheduler.tasks.values() if str(ts.key).startswith("bound")} == {
            "processing"
        }
        assert len(scheduler.queued) > 30, "those that Dask queues itself stay in its queue"
        await Event("gate", client=client).set()
        assert await client.gather(tasks) == await client.gather(others) == list(range(40))
        scheduler.validate_state()


async def test_what_another_has_replaced_since_is_left_alone(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    def of_another(*_: Any) -> None:
        return None

    overrides = overrides_of(scheduler)
    overrides.replace(scheduler, "get_comm_cost", lambda *_: 1.0)
    vars(scheduler)["get_comm_cost"] = of_another
    overrides.take_back()
    assert vars(scheduler)["get_comm_cost"] is of_another
    assert "get_comm_cost was replaced by another since" in caplog.text


async def test_what_the_table_lacks_cannot_be_replaced(scheduler: Scheduler) -> None:
    with pytest.raises(LookupError, match=r"^distributed.scheduler.Scheduler.rebalance is replaced and not"):
        Overrides().replace(scheduler, "rebalance", None)
    assert "rebalance" not in vars(scheduler)
