"""What deflated messages rest on. After an upgrade: look at hooks/wire.py."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from distributed import Scheduler, Worker
from distributed.comm.core import Comm
from distributed.comm.tcp import TCP, TLS, TCPConnector, TCPListener, TLSConnector, TLSListener
from distributed.comm.utils import from_frames, to_frames
from distributed.protocol.compression import compressions, maybe_compress
from distributed.protocol.core import dumps
from distributed.protocol.serialize import ToPickle
from distributed.protocol.utils import pack_frames, unpack_frames

from dask_regions.placement.hooks import wire
from testing.signatures import parameters

pytestmark = pytest.mark.xdist_group("placement")

WIRE = "look at hooks/wire.py"


def test_a_connection_writes_and_reads_as_it_did() -> None:
    assert parameters(TCP.write) == ["self", "msg", "serializers", "on_error"], WIRE
    assert parameters(TCP.read) == ["self", "deserializers"], WIRE
    assert parameters(to_frames) == ["msg", "allow_offload", "kwargs"], WIRE
    assert parameters(from_frames) == ["frames", "deserialize", "deserializers", "allow_offload"], WIRE
    source = inspect.getsource(TCP.write)
    for part in ('"sender": self.local_info', '"recipient": self.remote_info', "**self.handshake_options"):
        assert part in source, f"the context of a message has changed: {WIRE}, DeflatingTCP.write"
    frames = [b"one", b"", b"three"]
    assert [bytes(frame) for frame in unpack_frames(pack_frames(frames))] == frames, WIRE


def test_a_handshake_says_what_both_ends_are_and_what_they_agree_on() -> None:
    assert parameters(Comm.handshake_info) == ["self"], WIRE
    assert parameters(Comm.handshake_configuration) == ["local", "remote"], WIRE
    said: dict[str, Any] = {"pickle-protocol": 5, "compression": "x", "more": 1}
    agreed = TCP.handshake_configuration(said, said)
    assert agreed == {"pickle-protocol": 5, "compression": "x"}, WIRE
    assert TCP.handshake_configuration(said, {**said, "compression": None})["compression"] is None, WIRE


def test_the_class_of_a_connection_is_an_attribute_of_who_opens_and_accepts_it() -> None:
    assert TCPConnector.__dict__["comm_class"] in (TCP, wire.DeflatingTCP), WIRE
    assert TCPListener.__dict__["comm_class"] in (TCP, wire.DeflatingTCP), WIRE
    assert TLSConnector.__dict__["comm_class"] in (TLS, wire.DeflatingTLS), WIRE
    assert TLSListener.__dict__["comm_class"] in (TLS, wire.DeflatingTLS), WIRE


async def test_a_listener_that_is_open_accepts_connections_of_another_class(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in (TCPConnector, TCPListener):
        monkeypatch.setattr(part, "comm_class", wire.DeflatingTCP)
    async with Worker(scheduler.address, nthreads=1, host="127.0.0.1") as worker:
        comms = [scheduler.stream_comms[worker.address].comm, worker.batched_stream.comm]
        assert [type(comm) for comm in comms] == [wire.DeflatingTCP] * 2, WIRE
        for comm in comms:
            assert comm.handshake_options["compression"] is None, WIRE


def test_dask_compresses_no_messages_itself() -> None:
    # The day it does, between what it says and what a stream remembers, look which is less.
    said = "x" * 100_000
    [frame, *pickled] = dumps([{"said": said, "spec": ToPickle([said])}], context={"compression": "zlib"})
    assert len(frame) > len(said), WIRE
    assert max(map(len, pickled)) > len(said), WIRE


def test_a_compression_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compressions, wire._FAST_ZLIB.name, wire._FAST_ZLIB)
    name, compressed = maybe_compress(bytes(100_000), compression=wire._FAST_ZLIB.name)
    assert name == wire._FAST_ZLIB.name, WIRE
    assert len(compressed) < 1000, WIRE
    assert wire._FAST_ZLIB.decompress(compressed) == bytes(100_000), WIRE
