"""The report of what crossed, from logs that workers could have written."""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from dask_regions.client import prices
from dask_regions.client.transfers import Transfers, transfers
from dask_regions.errors import RequestError, UnavailableError
from dask_regions.placement.hooks.scheduler.plugin import PlacementPlugin

WEST, EAST, CLIENT = "us-west-2", "us-east-1", "eu-west-2"


class FakeClient:
    """Runs functions on fake workers and a fake scheduler."""

    asynchronous = False

    def __init__(self, **workers: str) -> None:
        task = SimpleNamespace(key="x", resource_restrictions=None)
        scheduler: Any = SimpleNamespace(tasks={"x": task, "y": task})
        self.plugin = PlacementPlugin(scheduler, CLIENT)
        self.workers: dict[str, Any] = {}
        self.clients = {"Client-1234": None}
        for address, region in workers.items():
            self.join(address, region)

    def join(self, address: str, region: str, maxlen: int = 10) -> None:
        self.workers[address] = SimpleNamespace(
            address=address,
            transfer_outgoing_count=0,
            transfer_outgoing_log=deque(maxlen=maxlen),
            transfer_incoming_log=deque(maxlen=maxlen),
        )
        state = SimpleNamespace(workers={address: SimpleNamespace(resources={f"region-{region}": 1})})
        self.plugin.add_worker(state, address)  # type: ignore[arg-type]

    def send(self, source: str, target: str | None, nbytes: int, at: float) -> None:
        if source in self.workers:
            entry = {"who": target, "compressed": nbytes, "stop": at}
            self.workers[source].transfer_outgoing_log.append(entry)
        if target is not None:
            entry = {"who": source, "total": nbytes, "stop": at}
            self.workers[target].transfer_incoming_log.append(entry)

    def run_on_scheduler(self, function: Any) -> Any:
        plugins = {PlacementPlugin.name: self.plugin}
        return function(SimpleNamespace(plugins=plugins, clients=self.clients))

    def run(self, function: Any, *arguments: Any, on_error: str) -> dict[str, Any]:
        results = {
            address: function(*arguments, dask_worker=worker) for address, worker in self.workers.items()
        }
        return {
            address: asyncio.run(result) if asyncio.iscoroutine(result) else result
            for address, result in results.items()
        }


@pytest.fixture
def client() -> Any:
    return FakeClient(w1=WEST, w2=WEST, e1=EAST)


def test_bytes_are_counted_by_pair_of_regions(client: Any) -> None:
    with transfers(client) as moved:
        client.send("w1", "e1", 100, 1.0)
        client.send("w1", "w2", 50, 2.0)
        client.send("e1", None, 7, 3.0)
    assert moved.between == {(WEST, EAST): 100, (WEST, WEST): 50, (EAST, CLIENT): 7}
    assert moved.crossed == 107
    assert not moved.notes


def test_what_moved_before_is_not_counted(client: Any) -> None:
    client.send("w1", "e1", 100, 1.0)
    with transfers(client) as moved:
        client.send("w1", "e1", 5, 2.0)
    assert moved.between == {(WEST, EAST): 5}


def test_a_worker_that_joins_meanwhile_is_counted(client: Any) -> None:
    with transfers(client) as moved:
        client.join("e2", EAST)
        client.send("e2", "w1", 5, 1.0)
    assert moved.between == {(EAST, WEST): 5}


def test_what_a_lost_worker_sent_is_known_from_those_who_got_it(client: Any) -> None:
    with transfers(client) as moved:
        client.send("w1", "e1", 100, 1.0)
        del client.workers["w1"]
    assert moved.between == {(WEST, EAST): 100}
    assert moved.notes == [
        "1 workers left meanwhile; what clients and other lost workers got from them is missing."
    ]


def test_a_log_that_overflowed_is_told(client: Any) -> None:
    client.join("e2", EAST, maxlen=2)
    client.send("e2", None, 1, 0.0)
    with transfers(client) as moved:
        for at in (1.0, 2.0, 3.0):
            client.send("e2", None, 1, at)
    assert moved.notes == ["A worker's log was too short; its oldest transfers are missing."]


def test_tasks_and_reads_are_those_of_the_block(client: Any) -> None:
    client.plugin.transition("x", "processing", "memory", stimulus_id="s", worker="w1")
    with transfers(client) as moved:
        client.plugin.transition("y", "processing", "memory", stimulus_id="s", worker="e1")
    assert moved.tasks == {EAST: 1}


def test_the_report_is_filled_when_the_block_fails(client: Any) -> None:
    def fail() -> None:
        with transfers(client) as moved:
            reports.append(moved)
            client.send("e1", None, 7, 3.0)
            raise KeyError

    reports: list[Transfers] = []
    with pytest.raises(KeyError):
        fail()
    assert reports[0].crossed == 7


def test_cost_is_that_of_what_crossed() -> None:
    moved = Transfers({(WEST, CLIENT): 10**9, (WEST, WEST): 10**12})
    assert moved.dollars == pytest.approx(0.04)


def test_the_price_table_can_be_replaced(client: Any) -> None:
    with transfers(client, prices={(EAST, CLIENT): 1.0}) as moved:
        client.send("e1", None, 10**9, 1.0)
    assert moved.dollars == pytest.approx(1.0)


def test_prices_that_were_assumed_are_told(client: Any) -> None:
    with transfers(client) as moved:
        client.join("s1", "ap-south-1")
        client.send("s1", "w1", 10**9, 1.0)
        client.send("w1", "s1", 10**9, 1.0)
    assert moved.dollars == pytest.approx(0.08)
    assert "Price assumed ($0.040 per GB) for ap-south-1 to us-west-2; set it with prices=" in str(moved)


def test_wrong_prices_are_refused_before_the_block_runs(client: Any) -> None:
    with pytest.raises(RequestError, match="no price of a pair"), transfers(client, prices={WEST: 1}):  # type: ignore[dict-item]
        pytest.fail("it ran")


def test_what_a_client_scatters_came_from_the_client_region(client: Any) -> None:
    with transfers(client) as moved:
        client.workers["w1"].transfer_incoming_log.append({"who": None, "total": 9, "stop": 1.0})
    assert moved.between == {(CLIENT, WEST): 9}


def test_a_client_inside_a_task_is_noted(client: Any) -> None:
    client.clients = {"Client-worker-1234": None}
    with transfers(client) as moved:
        pass
    assert moved.notes == [
        "A task used a client of its own; what it gathered or scattered counts as the client Region's "
        "(eu-west-2)."
    ]


def test_the_report_reads_well() -> None:
    moved = Transfers({(WEST, CLIENT): 1_500_000, (WEST, WEST): 20}, {WEST: 12}, notes=["<one> note"])
    assert str(moved) == (
        "from       to           bytes           cost\n"
        "us-west-2  eu-west-2  1.50 MB  under $0.0001\n"
        "us-west-2  us-west-2     20 B             $0\n"
        f"1.50 MB left a Region; cost: under $0.0001 (estimate at prices assumed on {prices.PRICES_DATE}).\n"
        "Tasks: 12 in us-west-2.\n"
        "<one> note"
    )
    assert "<td>1.50 MB</td>" in moved._repr_html_()
    assert "<svg" in moved._repr_html_()
    assert "&lt;one&gt; note" in moved._repr_html_()


def test_without_a_client_it_says_how_to_connect() -> None:
    with pytest.raises(UnavailableError, match=r"connect first"), transfers():
        pass
