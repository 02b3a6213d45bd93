"""A scheduler and workers in two Regions, as processes of their own, with data that each reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import dask_regions
from testing import processes
from testing.waiting import wait_until

__all__ = ["CLIENT", "EAST", "RECORDER", "SOUTH", "WEST", "Cluster", "Data", "item"]

CLIENT, WEST, EAST, SOUTH = "eu-west-2", "us-west-2", "us-east-1", "ap-southeast-2"
#: Preload module of a scheduler, which writes down what ``least_crossing.Observer`` takes.
RECORDER = Path(__file__).with_name("task_recorder.py")


class Cluster:
    """Processes of a scheduler and workers; addresses come from the scheduler's file."""

    def __init__(self, directory: Path, *preloads: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen[bytes]] = []
        self.file = directory / "scheduler.json"
        scheduler = ["dask_scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
        scheduler += ["--host", "127.0.0.1", "--scheduler-file", str(self.file)]
        for preload in ("dask_regions.placement.processes.scheduler_preload", *map(str, preloads)):
            scheduler += ["--preload", preload]
        self._start(scheduler, CLIENT)
        try:
            self.client = dask_regions.connect(self._address())
        except BaseException:
            self._stop()
            raise

    def add_worker(self, region: str) -> subprocess.Popen[bytes]:
        worker = ["dask_worker", "--scheduler-file", str(self.file), "--nthreads", "1", "--no-nanny"]
        worker += ["--host", "127.0.0.1", "--no-dashboard", "--resources", f"region-{region}=1"]
        return self._start([*worker, "--preload", "dask_regions.placement.processes.worker_preload"], region)

    def workers(self, region: str) -> list[str]:
        info = self.client.scheduler_info(n_workers=-1)["workers"]
        return [address for address, worker in info.items() if f"region-{region}" in worker["resources"]]

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def _start(self, arguments: list[str], region: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "AWS_REGION": region, "PYTHONWARNINGS": "default"}
        environment.pop("DATASETS_FILE", None)
        module, *rest = arguments
        with (self.directory / "log").open("ab") as log:
            process = processes.start(
                [sys.executable, "-m", f"distributed.cli.{module}", *rest],
                env=environment,
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def _address(self) -> str:
        def content() -> str:
            assert self.processes[0].poll() is None, self.log()
            # The file is made empty, and written then.
            return self.file.read_text() if self.file.exists() else ""

        return str(json.loads(wait_until(content, self.log))["address"])

    def close(self) -> None:
        self.client.close()
        self._stop()

    def _stop(self) -> None:
        # One after the other: a worker that is told to stop while its scheduler stops may hang at exit.
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()


class Data:
    """What the Regions hold, as NumPy knows it, and the Items that describe it."""

    def __init__(self, directory: Path) -> None:
        generator = np.random.default_rng(0)
        self.west = generator.normal(280.0, 10.0, (80, 120, 100))
        self.east = generator.normal(281.0, 10.0, (80, 120, 100))
        self.store = directory / WEST / "west.zarr"
        chunks = {"tas": {"chunks": (8, 120, 100)}}
        self._dataset(self.west, 0).to_zarr(self.store, zarr_format=2, consolidated=True, encoding=chunks)
        self.files = [directory / EAST / f"east-{number}.nc" for number in range(4)]
        (directory / EAST).mkdir()
        for number, file in enumerate(self.files):
            part = self._dataset(self.east[20 * number : 20 * (number + 1)], 20 * number)
            part.to_netcdf(file, engine="h5netcdf", encoding={"tas": {"chunksizes": (10, 120, 100)}})
        self.west_item = item("west", WEST, self.store)
        self.east_items = [item(file.stem, EAST, file) for file in self.files]

    @staticmethod
    def _dataset(values: np.ndarray, start: int) -> xr.Dataset:
        # 360 days a year, as in many climate models: no date of pandas.
        time = xr.date_range("2000-01-01", periods=80, freq="MS", calendar="360_day", use_cftime=True)
        return xr.Dataset(
            {"tas": (("time", "lat", "lon"), values, {"units": "K"})},
            {
                "time": time[start : start + len(values)],
                "lat": np.linspace(-90, 90, 120),
                "lon": np.arange(100.0),
                "area": (("lat", "lon"), np.ones((120, 100))),
            },
        )


def item(name: str, region: str, path: Path, **more: Any) -> dict[str, Any]:
    """Return a STAC Item of a file or store in a Region."""
    zarr = path.suffix == ".zarr"
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "collection": region,
        "properties": {"storage:schemes": {f"fsx-{region}": {"type": "aws-fsx-lustre", "region": region}}},
        "assets": {
            "data": {
                "href": f"s3://bucket/{path.name}",
                "type": "application/vnd+zarr" if zarr else "application/netcdf",
                "roles": ["data"],
                "alternate": {"fsx": {"href": path.as_uri(), "storage:refs": [f"fsx-{region}"]}},
                **({"zarr:consolidated": True} if zarr else {}),
            }
        },
        **more,
    }
