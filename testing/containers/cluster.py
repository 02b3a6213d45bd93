"""The main job's cluster in containers: a scheduler, and one container of workers for each Region."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import xarray as xr

from dask_regions_local.demo.data import source
from testing.containers import main_job
from testing.containers.engine import ROOT, Engine
from testing.containers.main_job import DATA, MOUNT
from testing.waiting import wait_until

__all__ = ["Cluster", "compute_main_job", "make_data"]

_CLIENT_REGION = "eu-west-2"
_YEARS_PER_CHUNK = 10
_WORKERS_PER_TASK = 2


def make_data(directory: Path) -> Mapping[str, Path]:
    """Write the main job's data, a Zarr store in one Region and a NetCDF file in the other.

    Returns
    -------
    mapping
        Region to the directory that is mounted where the workers find it; every user may read it.
    """
    directories = {region: directory / region for region in DATA}
    for region, (name, scenario) in DATA.items():
        directories[region].mkdir()
        # xarray looks into bounds, which are objects of cftime, when it chunks: the guard refuses that.
        dataset = source(scenario)[["air_temperature"]].drop_vars("time_bnds", errors="ignore")
        for variable in dataset.variables.values():
            variable.encoding = {k: v for k, v in variable.encoding.items() if k in ("units", "calendar")}
        sizes = dataset.sizes
        chunks = (_YEARS_PER_CHUNK, sizes["latitude"], sizes["longitude"])
        if name.endswith(".zarr"):
            dataset.to_zarr(
                directories[region] / name, zarr_format=2, encoding={"air_temperature": {"chunks": chunks}}
            )
        else:
            encoding = {"air_temperature": {"chunksizes": chunks}}
            dataset.to_netcdf(directories[region] / name, engine="h5netcdf", encoding=encoding)
    return directories


def compute_main_job(
    engine: Engine, image: str, address: str, directory: Path, options: Sequence[str]
) -> tuple[xr.Dataset, dict[tuple[str, str], int]]:
    """Compute the main job from a client in a container of its own, so that it has the cluster's Python.

    Parameters
    ----------
    engine, image
        What runs it, and the tag of either image.
    address
        Address of the scheduler.
    directory
        Is mounted for the result.
    options
        More options of ``docker run``; they name the network.

    Returns
    -------
    tuple
        The result as :func:`dask_regions_local.demo.job.compute` returns it, and how many chunks of which
        Region's data (first) which Region has read (second).

    Raises
    ------
    UnavailableError
        Where it fails; the message ends with what it wrote.
    """
    directory.chmod(0o777)
    printed = engine.docker(
        *("run", "--rm", *options, "--env", "PYTHONPATH=/opt/local", "--volume", f"{directory}:/results"),
        *("--volume", f"{ROOT / 'local' / 'src'}:/opt/local:ro"),
        *("--volume", f"{Path(main_job.__file__)}:/opt/main_job.py:ro"),
        *(image, "python", "/opt/main_job.py", address, "/results/result.nc"),
    )
    with xr.open_dataset(directory / "result.nc", engine="h5netcdf") as result:
        reads = {(holder, reader): count for holder, reader, count in json.loads(printed.splitlines()[-1])}
        return result.load(), reads


class Cluster:
    """Containers on the host's loopback, which end with the context.

    Parameters
    ----------
    engine
        Runs them.
    images
        Tags of ``scheduler`` and ``worker``.
    data
        What :func:`make_data` returned.
    """

    def __init__(self, engine: Engine, images: Mapping[str, str], data: Mapping[str, Path]) -> None:
        self._engine, self._images, self._data = engine, images, data
        self._port, self._dashboard_port = _free_port(), _free_port()
        self._suffix = uuid.uuid4().hex[:8]
        self._stack = ExitStack()

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return f"tcp://127.0.0.1:{self._port}"

    @property
    def containers(self) -> list[str]:
        """Names of the containers, the scheduler's first."""
        return [self._name("scheduler"), *(self._name(region) for region in self._data)]

    def __enter__(self) -> Self:
        """Start the workers, see that those who wait for a scheduler are healthy, and start it."""
        with self._stack:
            for region in self._data:
                self._start_workers(region)
            for region in self._data:
                self._wait_until_healthy(self._name(region))
            self._start("scheduler", self._name("scheduler"), self._scheduler_environment)
            for container in self.containers:
                self._wait_until_healthy(container)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End every container."""
        self._stack.close()

    def state(self, container: str) -> dict[str, Any]:
        """Return what the engine says of a container's state."""
        state: dict[str, Any] = json.loads(
            self._engine.docker("inspect", "--format", "{{json .State}}", container)
        )
        return state

    def logs(self, container: str) -> str:
        """Return the last lines that a container wrote."""
        command = self._engine.docker("logs", "--tail", "40", container)
        return f"{container}: {self.state(container)}\n{command}"

    def run(self, container: str, *command: str) -> str:
        """Run a command in a container and return what it prints."""
        return self._engine.docker("exec", container, *command)

    def _name(self, part: str) -> str:
        return f"dask-regions-{part}-{self._suffix}"

    @property
    def _scheduler_environment(self) -> dict[str, str]:
        ports = {"SCHEDULER_PORT": str(self._port), "DASHBOARD_PORT": str(self._dashboard_port)}
        return {"AWS_REGION": _CLIENT_REGION, "HOST": "127.0.0.1", **ports}

    def _start_workers(self, region: str) -> None:
        environment = {
            "AWS_REGION": region,
            "DASK_SCHEDULER_ADDRESS": self.address,
            "WORKERS_PER_TASK": str(_WORKERS_PER_TASK),
        }
        mount = ("--volume", f"{self._data[region]}:{MOUNT}:ro")
        self._start("worker", self._name(region), environment, *mount)

    def _start(self, target: str, name: str, environment: Mapping[str, str], *options: str) -> None:
        variables = [f"--env={key}={value}" for key, value in environment.items()]
        # The file systems of both are as in the task definitions; the checks come sooner.
        options = (*options, "--network", "host", "--health-interval", "2s", "--health-start-period", "0s")
        self._stack.callback(self._engine.docker, "rm", "--force", name)
        self._engine.docker("run", "--detach", "--name", name, *options, *variables, self._images[target])

    def _wait_until_healthy(self, container: str) -> None:
        def healthy() -> bool:
            state = self.state(container)
            assert state["Running"], self.logs(container)
            return bool(state["Health"]["Status"] == "healthy")

        wait_until(healthy, lambda: self.logs(container), each_seconds=0.5)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
