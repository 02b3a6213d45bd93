"""What Dask's messages weigh between Regions, and that they arrive as they were sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from distributed import Client
from distributed.comm.core import Comm, CommClosedError, connect, listen
from distributed.comm.tcp import TCPConnector
from distributed.protocol.serialize import ToPickle, to_serialize
from distributed.security import Security

import dask_regions
from dask_regions.placement.hooks import wire
from dask_regions.placement.hooks.replacing import Overrides
from testing.placement.clusters import CLIENT, EAST, WEST, Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]

Connected = Callable[..., AbstractAsyncContextManager[tuple[Comm, Comm]]]


@pytest.fixture
def overrides() -> Iterator[Overrides]:
    overrides = Overrides()
    yield overrides
    overrides.take_back()


@pytest.fixture
def connected(overrides: Overrides) -> Connected:
    """Return a function that connects this process, which is in a Region until the test ends, with itself."""
    wire.deflate_between_regions(overrides, WEST)
    return _connected


@pytest.fixture
def elsewhere(connected: Connected) -> Connected:
    """Return a function that connects this process with one that says that it is in another Region."""
    return lambda: connected(**{"dask-regions": EAST})


@asynccontextmanager
async def _connected(
    scheme: str = "tcp", security: Security | None = None, **said: Any
) -> AsyncIterator[tuple[Comm, Comm]]:
    """Connect this process with itself; ``said`` is what one end says of itself in the handshake."""
    accepted: asyncio.Future[Comm] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def accept(comm: Comm) -> None:
        accepted.set_result(comm)
        await done.wait()

    arguments = security.get_listen_args("worker") if security else {}
    listener = await listen(f"{scheme}://127.0.0.1:0", accept, **arguments)
    arguments = security.get_connection_args("worker") if security else {}
    near = await connect(listener.contact_address, handshake_overrides=said, **arguments)
    far = await accepted
    try:
        yield near, far
    finally:
        done.set()
        await near.close()
        await far.close()
        listener.stop()


def compute_task(number: int) -> list[dict[str, Any]]:
    """Return a batch as the scheduler sends it."""
    key = ("mean_chunk-1f3870be274f6c49b3e31a0c6728957f", number, 0, 0)
    task = {"op": "compute-task", "key": key, "run_id": number, "priority": (0, 1, number)}
    return [{**task, "run_spec": ToPickle({"spec": [f"part {part}" for part in range(200)]})}]


async def received(sender: Comm, receiver: Comm, message: Any) -> tuple[Any, int]:
    """Send a message; return it as it arrived, and the bytes that were sent."""
    write: Awaitable[int] = asyncio.ensure_future(sender.write(message))
    arrived = await asyncio.wait_for(receiver.read(), 60)
    return arrived, await write


async def test_of_a_message_to_another_region_only_what_is_new_crosses(elsewhere: Connected) -> None:
    async with elsewhere() as (near, far):
        for sender, receiver in ((near, far), (far, near)):
            sizes = []
            for number in range(20):
                [task], nbytes = await received(sender, receiver, compute_task(number))
                assert task["key"][1] == number
                assert task["run_spec"]["spec"][-1] == "part 199"
                sizes.append(nbytes)
            assert max(sizes[1:]) < 150 < sizes[0]


@pytest.mark.parametrize("region", [WEST, None])
async def test_messages_inside_a_region_and_to_who_says_none_stay_as_they_are(
    connected: Connected, region: str | None
) -> None:
    async with connected(**{"dask-regions": region}) as (near, far):
        for number in range(3):
            [task], nbytes = await received(near, far, compute_task(number))
            assert task["run_id"] == number
            assert nbytes > 2000
        mask = np.ones(1_000_000, bool)
        _, nbytes = await received(near, far, {"data": to_serialize(mask)})
        assert nbytes > mask.nbytes


async def test_a_peer_that_is_dasks_own_is_understood(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = TCPConnector.comm_class.__base__
    monkeypatch.setattr(TCPConnector, "comm_class", stock)
    async with connected() as (near, far):
        assert type(near) is stock
        assert type(far) is wire.DeflatingTCP
        for sender, receiver in ((near, far), (far, near)):
            [task], _ = await received(sender, receiver, compute_task(1))
            assert task["run_id"] == 1


async def test_small_and_large_messages_arrive_in_order_and_arrays_can_be_written_to(
    elsewhere: Connected,
) -> None:
    generator = np.random.default_rng(0)
    async with elsewhere() as (near, far):
        for number, length in enumerate([10, 100_000, 10, 1_000_000, 7000, 0, 300]):
            array = generator.normal(size=length)
            arrived, _ = await received(near, far, {"number": number, "data": to_serialize(array)})
            assert arrived["number"] == number
            np.testing.assert_array_equal(arrived["data"], array)
            arrived["data"] += 1


async def test_what_a_peer_is_to_leave_serialised_stays_so(elsewhere: Connected) -> None:
    async with elsewhere() as (near, far):
        vars(far)["deserialize"] = False
        arrived, _ = await received(near, far, {"data": to_serialize(np.arange(10))})
        [passed_on], _ = await received(far, near, [arrived["data"]])
        np.testing.assert_array_equal(passed_on, np.arange(10))


async def test_an_array_that_is_nearly_constant_is_compressed_between_regions_and_noise_is_not(
    elsewhere: Connected,
) -> None:
    mask, noise = np.ones(1_000_000, bool), np.random.default_rng(0).normal(size=100_000)
    async with elsewhere() as (near, far):
        arrived, nbytes = await received(near, far, {"data": to_serialize(mask)})
        assert arrived["data"].all()
        assert nbytes < 10_000
        _, nbytes = await received(near, far, {"data": to_serialize(noise)})
        assert nbytes > noise.nbytes


async def test_nothing_is_compressed_for_who_passes_it_on(elsewhere: Connected, overrides: Overrides) -> None:
    wire.deflate_between_regions(overrides, CLIENT, relays=True)
    async with elsewhere() as (near, far):
        mask = np.ones(1_000_000, bool)
        for sender, receiver in ((near, far), (far, near)):
            _, nbytes = await received(sender, receiver, {"data": to_serialize(mask)})
            assert nbytes > mask.nbytes
            await received(sender, receiver, compute_task(0))
            _, nbytes = await received(sender, receiver, compute_task(1))
            assert nbytes < 150


async def test_a_stream_that_is_broken_closes_its_connection(elsewhere: Connected) -> None:
    async with elsewhere() as (near, far):
        await received(near, far, compute_task(0))
        vars(near)["_deflated"] = lambda _: b"\xff" * 40
        writing = asyncio.ensure_future(near.write(compute_task(1)))
        with pytest.raises(CommClosedError, match="could not be inflated"):
            await asyncio.wait_for(far.read(), 60)
        await writing
        assert far.closed()


async def test_an_encrypted_connection_deflates_too(connected: Connected) -> None:
    security = Security.temporary()
    async with connected("tls", security, **{"dask-regions": EAST}) as (near, far):
        assert near.extra_info["cipher"]
        for number in range(3):
            [task], nbytes = await received(near, far, compute_task(number))
            assert task["run_id"] == number
        assert nbytes < 150


def test_a_client_that_knows_nothing_of_it_gets_what_a_worker_would_compress(client: Client) -> None:
    with dask_regions.transfers(client) as moved:
        zeros = client.submit(np.zeros, 1_000_000, resources={f"region-{WEST}": 0}, pure=False)
        there = client.submit(np.add, zeros, 1, resources={f"region-{EAST}": 0}, pure=False)
        assert client.gather(there).sum() == 1_000_000
    assert moved.between[WEST, EAST] < 100_000 < 8_000_000 < moved.between[EAST, CLIENT], str(moved)


def test_scheduler_and_workers_speak_so_whoever_opened_the_connection(cluster: Cluster) -> None:
    def streams(dask_scheduler: Any) -> set[tuple[str, bool]]:
        comms = [stream.comm for stream in dask_scheduler.stream_comms.values()]
        return {(type(comm).__name__, comm.handshake_options["dask-regions-deflate"]) for comm in comms}

    async def called(dask_scheduler: Any) -> list[bool]:
        options = []
        for address in dask_scheduler.workers:
            comm = await dask_scheduler.rpc.connect(address)
            options.append(comm.handshake_options["dask-regions-deflate"])
            dask_scheduler.rpc.reuse(address, comm)
        return options

    assert cluster.client.run_on_scheduler(streams) == {("DeflatingTCP", True)}
    assert cluster.client.run_on_scheduler(called) == [True] * 3
