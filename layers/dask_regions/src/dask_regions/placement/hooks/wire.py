"""Deflate Dask's messages between Regions.

Scheduler and worker exchange 2 kB a task, nearly all of which the message before said too. Dask compresses
buffers of arrays alone, each by itself (``distributed.comm.compression``;
``distributed.protocol.core.dumps``). Here the small messages of a connection between two Regions are one
stream of DEFLATE, so that of each only what is new in it crosses.

Both ends say their Region in Dask's handshake. Who says none, or the same, is spoken to as Dask does.

Between workers of two Regions, what Dask would compress on request is compressed without: masks, and arrays
that are mostly missing. Arrays of which a sample does not shrink to 70 % are sent as they are.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import Any

from distributed.comm.core import CommClosedError
from distributed.comm.tcp import TCP, TLS, TCPConnector, TCPListener, TLSConnector, TLSListener
from distributed.comm.utils import from_frames, to_frames
from distributed.protocol import compression
from distributed.protocol.utils import pack_frames, unpack_frames
from distributed.sizeof import safe_sizeof
from distributed.utils import nbytes

from dask_regions.placement.hooks.replacing import Overrides

__all__ = ["DeflatingTCP", "DeflatingTLS", "deflate_between_regions"]

#: Key of the sender's Region in the handshake.
_REGION = "dask-regions"
#: Key in the negotiated options, and the single key of a message that holds a deflated one.
_DEFLATE = "dask-regions-deflate"

#: Questions and answers up to this size are deflated: longer ones are mostly data.
_MAX_ANSWER_BYTES = 64 * 1024
#: Batches of messages about tasks up to this size are deflated: larger ones are graphs with data in them,
#: which would be serialised twice.
_MAX_BATCH_BYTES = 10_000_000

# 128 kB for each direction of a connection. On the messages of workload ii (docs/benchmarks.md), level 9 with
# 256 kB made 11 % less of them and took twice as long; level 1 with 128 kB 15 % more.
_LEVEL, _WINDOW, _MEMORY = 4, -14, 7

#: Dask's own zlib, at level 6, is no faster than the link.
_FAST_ZLIB = compression.Compression("dask-regions-zlib-1", partial(zlib.compress, level=1), zlib.decompress)

# These belong to the process: connections are made by Dask's connectors and listeners, which do not know
# for which scheduler or worker.
_region: str | None = None
_compresses = False


class DeflatingTCP(TCP):
    """A connection whose messages are deflated if it joins two Regions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deflate: zlib._Compress | None = None
        self._inflate: zlib._Decompress | None = None

    def handshake_info(self) -> dict[str, Any]:
        """Tell the other end the Region of this process too."""
        info = {**super().handshake_info(), _REGION: _region}
        if _compresses and not info["compression"]:
            info["compression"] = _FAST_ZLIB.name
        return info

    @staticmethod
    def handshake_configuration(local: dict[str, Any], remote: dict[str, Any]) -> dict[str, Any]:
        """Agree with the other end; deflate between two Regions."""
        here, there = local.get(_REGION), remote.get(_REGION)
        agreed = TCP.handshake_configuration(local, remote)
        agreed[_DEFLATE] = bool(here and there and here != there)
        if agreed["compression"] == _FAST_ZLIB.name and not agreed[_DEFLATE]:
            agreed["compression"] = None
        return agreed

    async def write(self, msg: Any, serializers: Any = None, on_error: Any = "message") -> Any:
        """Write a message, deflated if it is a small one to another Region."""
        if self.handshake_options.get(_DEFLATE) and _is_about_tasks(msg):
            frames = await to_frames(
                msg,
                allow_offload=self.allow_offload,
                serializers=serializers,
                on_error=on_error,
                context={"sender": self.local_info, "recipient": self.remote_info, **self.handshake_options},
                frame_split_size=self.max_shard_size,
            )
            if sum(map(nbytes, frames)) <= _MAX_BATCH_BYTES:
                # Nothing may come between this and the write: the other end inflates in the order of arrival.
                msg = {_DEFLATE: self._deflated(pack_frames(frames))}
        return await super().write(msg, serializers=serializers, on_error=on_error)  # type: ignore[no-untyped-call]

    async def read(self, deserializers: Any = None) -> Any:
        """Read a message.

        Raises
        ------
        CommClosedError
            Where it cannot be inflated; nothing that follows could be.
        """
        msg = await super().read(deserializers=deserializers)  # type: ignore[no-untyped-call]
        if not (type(msg) is dict and _DEFLATE in msg):
            return msg
        try:
            content = self._inflated(msg[_DEFLATE])
        except zlib.error as error:
            self.abort()
            raise CommClosedError(f"aborted {self!r}: a message could not be inflated: {error}") from error
        return await from_frames(
            # Writable, as what Dask reads: arrays are made of it without a copy.
            unpack_frames(bytearray(content)),
            deserialize=self.deserialize,
            deserializers=deserializers,
            allow_offload=self.allow_offload,
        )

    def _deflated(self, content: bytes) -> bytes:
        if self._deflate is None:
            self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY)
        return self._deflate.compress(content) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def _inflated(self, content: bytes) -> bytes:
        if self._inflate is None:
            self._inflate = zlib.decompressobj(_WINDOW)
        return self._inflate.decompress(content)


class DeflatingTLS(DeflatingTCP, TLS):
    """The same, encrypted."""


def _is_about_tasks(msg: Any) -> bool:
    # The stream between scheduler and worker sends lists; all else are questions and answers, some with data.
    return isinstance(msg, list) or safe_sizeof(msg) <= _MAX_ANSWER_BYTES


def deflate_between_regions(overrides: Overrides, region: str, *, relays: bool = False) -> None:
    """Declare the Region of this process for connections to come, until it is taken back.

    Listeners that are open already accept such connections too.

    Parameters
    ----------
    overrides
        Of the scheduler or worker whose process this is.
    region
        Region of this process.
    relays
        Whether it passes results on as they come, as a scheduler does to clients, which do not know our
        compression: none is asked for then.
    """
    overrides.on_take_back(_declare, None, False)
    _declare(region, not relays)
    overrides.replace(compression, "compressions", _FAST_ZLIB, key=_FAST_ZLIB.name)
    connections: dict[type, type] = {
        TCPConnector: DeflatingTCP,
        TCPListener: DeflatingTCP,
        TLSConnector: DeflatingTLS,
        TLSListener: DeflatingTLS,
    }
    for owner, connection in connections.items():
        overrides.replace(owner, "comm_class", connection)


def _declare(region: str | None, compresses: bool) -> None:
    global _region, _compresses
    _region, _compresses = region, compresses
