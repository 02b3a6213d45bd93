"""The main job over the routes and rules of an account, by a real scheduler and real workers."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from testing.containers.cluster import make_data
from testing.deployment.namespaces import Namespaces
from testing.deployment.reachability.facts import Facts
from testing.deployment.reachability.places import schedulers, workers

__all__ = ["SCHEDULER_PORT", "WORKER_PORT", "MainJob"]

SCHEDULER_PORT, WORKER_PORT = 8786, 10000
_SECONDS_TO_START = 300
#: The job on the cluster whose address, data and result are given.
_PROGRAM = """
import sys
from testing.containers import main_job
main_job.MOUNT = sys.argv[2]
main_job.main(sys.argv[1], sys.argv[3])
"""


class MainJob:
    """Scheduler and workers in namespaces, and the job that a client of the client Region runs on them.

    Parameters
    ----------
    facts
        Those of which the namespaces are made.
    directory
        Takes data and results.
    """

    def __init__(self, facts: Facts, network: Namespaces, directory: Path) -> None:
        self._network, self._directory = network, directory
        [self.client] = [place.region for place in schedulers(facts)]
        self.workers = [place.region for place in workers(facts)]
        self._address = f"tcp://scheduler.{facts['system']}.internal:{SCHEDULER_PORT}"
        self._data = directory / "data"
        self._data.mkdir()
        for holder in make_data(directory).values():
            for path in holder.iterdir():
                (self._data / path.name).symlink_to(path)

    def start(self) -> None:
        """Start the scheduler and the workers, and wait until all have joined."""
        common = {"SCHEDULER_TOKEN": "token", "SYSTEM_NAME": "tides"}
        host = {"HOST": self._network.addresses[self.client]}
        module = "dask_regions.placement.processes"
        self._network.start(self.client, ["-m", f"{module}.scheduler"], common | host)
        for region in self.workers:
            environment = {"DASK_SCHEDULER_ADDRESS": self._address, "WORKERS_PER_TASK": "2"}
            self._network.start(region, ["-m", f"{module}.worker"], common | environment)
        end = time.monotonic() + _SECONDS_TO_START
        while not all(self.reaches(self.client, region) for region in self.workers):
            if time.monotonic() > end:
                raise RuntimeError("workers did not join")
            time.sleep(0.5)

    def reaches(self, source: str, destination: str) -> bool:
        """Say whether a Region reaches another one's scheduler or workers."""
        port = SCHEDULER_PORT if destination == self.client else WORKER_PORT
        return self._network.reaches(source, destination, port)

    def compute(self, seconds: float) -> bool:
        """Say whether the job ends with a result in so many seconds."""
        result = self._directory / "result.nc"
        result.unlink(missing_ok=True)
        arguments = ["-c", _PROGRAM, self._address, str(self._data), str(result)]
        process = self._network.start(self.client, arguments, {})
        try:
            return process.wait(seconds) == 0 and result.exists()
        except subprocess.TimeoutExpired:
            process.kill()
            return False
