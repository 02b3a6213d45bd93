"""Names of places on AWS, and what stands for each of them on this machine."""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """Where a local system keeps and serves what the templates place elsewhere.

    Parameters
    ----------
    directory
        State directory of the system.
    scheduler_port, dashboard_port
        Ports of the scheduler on 127.0.0.1.
    opensearch_url
        OpenSearch server that keeps the catalog; None where SQLite files do.
    """

    directory: Path
    scheduler_port: int
    dashboard_port: int
    opensearch_url: str | None = None

    @classmethod
    def with_free_ports(cls, directory: Path, opensearch_url: str | None) -> Places:
        """Choose two ports that nobody uses now."""
        scheduler, dashboard = _free_ports(2)
        return cls(directory, scheduler, dashboard, opensearch_url)

    @property
    def scheduler_address(self) -> str:
        """Address of the Dask scheduler."""
        return f"tcp://127.0.0.1:{self.scheduler_port}"

    @property
    def dashboard_url(self) -> str:
        """Address of the scheduler's dashboard."""
        return f"http://127.0.0.1:{self.dashboard_port}/status"

    @property
    def task_environment(self) -> dict[str, str]:
        """Environment variables that keep an ECS task inside the directory and on its ports."""
        return {
            "DASK_TEMPORARY_DIRECTORY": str(self.directory / "scratch"),
            "DASHBOARD_PORT": str(self.dashboard_port),
            "HOST": "127.0.0.1",
            # The pools of all Regions share this machine's ports, with whatever else runs on it.
            "NANNY_PORTS": "0",
            "SCHEDULER_PORT": str(self.scheduler_port),
            "WORKER_PORTS": "0",
        }

    def localise(self, value: str) -> str:
        """Return the value of an environment variable with this machine's places instead of AWS's.

        Examples
        --------
        >>> Places(Path("/state"), 1, 2).localise("sqlite:////mnt/catalog/a")
        'sqlite:////state/catalog/a'
        """
        rewrites = {
            r"/mnt/catalog": str(self.directory / "catalog"),
            r"https://[\w-]+\.DomainEndpoint\.local": self.opensearch_url or "",
            r"scheduler\.[a-z0-9-]+\.internal:8786": f"127.0.0.1:{self.scheduler_port}",
            r"scheduler\.[a-z0-9-]+\.internal:8787": f"127.0.0.1:{self.dashboard_port}",
        }
        for deployed, local in rewrites.items():
            value = re.sub(deployed, lambda _, local=local: local, value)  # type: ignore[misc]
        return value


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [int(free.getsockname()[1]) for free in sockets]
