"""Unit tests open no sockets."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import dask.config
import pytest
import pytest_socket


@pytest.fixture(autouse=True)
def _no_sockets() -> Iterator[None]:
    # A socket pair inside the process is not the network: asyncio's event loop needs one.
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


@pytest.fixture(autouse=True, scope="module")
def _no_client() -> Iterator[None]:
    # Other tests of the same process keep clients open, or have left them behind as Dask's scheduler.
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(dask.config.config, "scheduler", raising=False)
        if "distributed" in sys.modules:
            patch.setattr("distributed.client._global_clients", {})
        yield
