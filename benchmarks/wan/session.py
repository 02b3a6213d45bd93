"""A client in the client Region: reads orders from standard input, one JSON document a line.

The first says what to connect to and waits for all workers. Each other names a workload, and is
answered three times: when the datasets are open, when the result is there, and when it is compared.
In between, this waits for a line, so that bytes can be counted while nothing else happens.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import xarray as xr
from distributed import Client, get_task_stream

import dask_regions
from benchmarks.wan.network import ADDRESSES
from benchmarks.wan.peers import PEERS
from testing.workloads import WORKLOADS

__all__ = ["Session", "main"]

_SECONDS = 120
#: By size of the result's numbers. What is compared are temperatures about 280 and their differences; NumPy
#: sums 600 of them in float32 to 1e-3 or so, in an order that chunks change.
_TOLERANCES = {4: 1e-3, 8: 1e-6}
_LONGEST_MESSAGE = 200


class Session:
    """A connected client.

    Parameters
    ----------
    order
        ``peer`` (a name), ``scheduler`` (its address), ``stores`` and ``expected`` (paths by name).
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._peer = PEERS[order["peer"]]
        self._order = order
        connect: Callable[..., Client] = dask_regions.connect if self._peer.placement else Client
        self._client = connect(order["scheduler"], timeout=_SECONDS)
        self._client.wait_for_workers(sum(self._peer.pools.values()), timeout=_SECONDS)
        self._client.run(_import)

    def run(self, order: Mapping[str, Any]) -> None:
        """Run a workload as the module says."""
        workload = WORKLOADS[order["workload"]]
        self._until_idle()
        arrays = [
            self._peer.open(self._client, Path(self._order["stores"][name]), name)
            for name in workload.datasets
        ]
        report: dict[str, Any] = {"planned": self._plan(workload.build(*arrays))}
        with ExitStack() as stack:
            moved = (
                stack.enter_context(dask_regions.transfers(self._client)) if self._peer.placement else None
            )
            stream = stack.enter_context(get_task_stream(self._client)) if order["trace"] else None
            _say({"event": "open"})
            _listen()
            result, done = self._compute(lambda: workload.build(*arrays).compute())
            done["error"] = done["error"] and self._shorten(done["error"])
            _say(done)
            _listen()
        if result is not None:
            report["error"] = _compare(result, Path(self._order["expected"][workload.name]))
        if moved is not None:
            report["transfers"] = [[*pair, nbytes] for pair, nbytes in sorted(moved.between.items())]
        if stream is not None:
            report["trace"] = _summarise(stream.data, done["began"])
        _say(report)

    @staticmethod
    def _compute(compute: Callable[[], xr.DataArray]) -> tuple[xr.DataArray | None, dict[str, Any]]:
        began, clock = time.time(), time.perf_counter()
        result, error = None, None
        try:
            result = compute()
        except Exception as caught:  # noqa: BLE001  what a peer cannot run is a result
            error = f"{type(caught).__name__}: {caught}"
        return result, {"seconds": time.perf_counter() - clock, "began": began, "error": error}

    def _shorten(self, message: str) -> str:
        folder = Path(next(iter(self._order["stores"].values()))).parent
        return " ".join(message.replace(f"{folder}/", "").split())[:_LONGEST_MESSAGE]

    def _plan(self, result: xr.DataArray) -> int | None:
        """Return the bytes that are expected to cross, or None where nobody says."""
        if not self._peer.placement or not hasattr(dask_regions, "plan"):
            return None
        return int(dask_regions.plan(result, client=self._client).crossed)

    def _until_idle(self) -> None:
        """Wait until the run before is forgotten, also one that failed."""
        deadline = time.monotonic() + _SECONDS
        while self._client.run_on_scheduler(_tasks):
            if time.monotonic() > deadline:
                raise TimeoutError("tasks of the last run are still there")
            time.sleep(0.1)


def _import() -> None:
    for module in ("dask.array", "flox.xarray", "scipy", "zarr"):
        import_module(module)


def _tasks(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


def _compare(result: xr.DataArray, expected: Path) -> str | None:
    try:
        tolerance = _TOLERANCES[result.dtype.itemsize]
        np.testing.assert_allclose(result.values, np.load(expected), rtol=tolerance, atol=tolerance)
    except AssertionError as error:
        return " ".join(f"wrong result: {error}".split())[:_LONGEST_MESSAGE]
    return None


def _summarise(stream: list[dict[str, Any]], began: float) -> list[list[Any]]:
    """Return rows of (prefix, Region, tasks, first start, last stop, seconds computing, transferring)."""
    regions = {address: region for region, address in ADDRESSES.items()}
    rows: dict[tuple[str, str], list[Any]] = {}
    for task in stream:
        prefix = str(task["key"]).lstrip("('\"").split("-")[0][:40]
        region = regions[urlsplit(task["worker"]).hostname or ""]
        row = rows.setdefault((prefix, region), [prefix, region, 0, float("inf"), 0.0, 0.0, 0.0])
        row[2] += 1
        for step in task["startstops"]:
            row[3] = min(row[3], step["start"] - began)
            row[4] = max(row[4], step["stop"] - began)
            row[5 if step["action"] == "compute" else 6] += step["stop"] - step["start"]
    return sorted(rows.values(), key=lambda row: row[3])


def _say(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _listen() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    order: dict[str, Any] = json.loads(line)
    return order


def main() -> None:
    """Follow orders until standard input ends."""
    session = Session(_listen())
    _say({"event": "connected"})
    while True:
        session.run(_listen())


if __name__ == "__main__":
    main()
