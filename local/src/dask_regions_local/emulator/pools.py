"""ECS: as many processes as the services' desired counts say.

moto keeps clusters, services and task definitions; an ECS task is a process group here.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.ecs.models import ecs_backends

from dask_regions.errors import UnavailableError
from dask_regions_local.emulator.aws import Aws
from dask_regions_local.emulator.http.server import Request, Response, Server
from dask_regions_local.emulator.processes.environment import child_environment
from dask_regions_local.emulator.processes.lifecycle import Process
from dask_regions_local.emulator.templates import ACCOUNT

__all__ = ["Pools", "Task"]

#: Seconds that a task has to end after SIGTERM, ECS's ``stopTimeout``.
STOP_TIMEOUT = 30.0
#: Longest pause before a task that keeps ending is started again, in seconds.
MAXIMUM_PAUSE = 30.0


@dataclass
class Task:
    """An ECS task: a process group; a scale-in spares it until ``protected_until`` (monotonic seconds)."""

    id: str
    region: str
    cluster: str
    service: str
    process: Process
    protected_until: float = 0.0
    stop_by: float | None = None

    @property
    def arn(self) -> str:
        """ARN of the task."""
        return f"arn:aws:ecs:{self.region}:{ACCOUNT}:task/{self.cluster}/{self.id}"


@dataclass
class _Service:
    """The tasks of a service, and when the next may start after some that ended by themselves."""

    tasks: list[Task] = field(default_factory=list)
    failures: int = 0
    start_after: float = 0.0


class Pools:
    """Reconcile processes with the ECS services of some Regions.

    Parameters
    ----------
    aws
        The local endpoint.
    regions
        Regions whose services are looked after.
    directory
        Working directory of the tasks; their output goes to ``logs/`` in it.
    localise
        Rewrites the value of an environment variable for this machine.
    overrides
        Environment that local mode adds to what the task definitions say.
    """

    def __init__(
        self,
        aws: Aws,
        regions: Sequence[str],
        directory: Path,
        localise: Callable[[str], str],
        overrides: Mapping[str, str],
    ) -> None:
        self._aws, self._regions, self._directory = aws, regions, directory
        self._localise, self._overrides = localise, overrides
        self._services: dict[tuple[str, str], _Service] = {}
        self._metadata = Server(self._describe)
        self._lock = threading.RLock()

    def tasks(self) -> list[Task]:
        """Return the tasks that run."""
        with self._lock:
            return [task for service in self._services.values() for task in service.tasks]

    def reconcile(self) -> None:
        """Start and stop processes once, and tell moto what runs."""
        for region in self._regions:
            for key, service in list(ecs_backends[ACCOUNT][region].services.items()):
                with self._lock:
                    known = self._services.setdefault((region, key), _Service())
                    self._reap(known)
                    self._adjust(region, known, service)
                    live = sum(task.stop_by is None for task in known.tasks)
                    service.running_count = live
                    service.pending_count = max(0, int(service.desired_count or 0) - live)

    def _reap(self, service: _Service) -> None:
        now = time.monotonic()
        for task in list(service.tasks):
            if task.stop_by is not None and now > task.stop_by:
                task.process.kill()
            if task.process.returncode is not None:
                task.process.kill()  # what is left of its group
                service.tasks.remove(task)
                if task.stop_by is None:
                    service.failures += 1
                    service.start_after = now + min(MAXIMUM_PAUSE, 0.25 * 2**service.failures)

    def _adjust(self, region: str, known: _Service, service: Any) -> None:
        live = [task for task in known.tasks if task.stop_by is None]
        excess = len(live) - int(service.desired_count or 0)
        if excess < 0 and time.monotonic() >= known.start_after:
            known.tasks += [self._start(region, service) for _ in range(-excess)]
        exposed = [task for task in live if task.protected_until < time.monotonic()]
        for task in exposed[::-1][: max(0, excess)]:
            task.stop_by = time.monotonic() + STOP_TIMEOUT
            task.process.terminate()

    def _start(self, region: str, service: Any) -> Task:
        backend = ecs_backends[ACCOUNT][region]
        definition: dict[str, Any] = backend.describe_task_definition(
            service.task_definition
        ).container_definitions[0]
        identity = uuid.uuid4().hex
        declared = {
            item["name"]: self._localise(item["value"]) for item in definition.get("environment") or ()
        }
        declared |= {
            item["name"]: self._secret(region, item["valueFrom"]) for item in definition.get("secrets") or ()
        }
        metadata = {"ECS_CONTAINER_METADATA_URI_V4": f"{self._metadata.url}/ecs/{identity}"}
        variables = child_environment(region, self._aws.endpoint, declared, {**self._overrides, **metadata})
        command = [*(definition.get("entryPoint") or ()), *(definition.get("command") or ())]
        if command[0] in ("python", "python3"):
            command[0] = sys.executable
        log = self._directory / "logs" / f"{region}.{service.name}.{identity[:8]}.log"
        process = Process(command, env=variables, cwd=self._directory, log=log)
        return Task(identity, region, service.cluster_name, service.name, process)

    def _secret(self, region: str, reference: str) -> str:
        """Return the value of a secret, or of one of its JSON keys, as a container gets it."""
        parts = reference.split(":")
        secret = ":".join(parts[:7])
        value = self._aws.client("secretsmanager", region).get_secret_value(SecretId=secret)["SecretString"]
        return str(json.loads(value)[parts[7]] if len(parts) > 7 and parts[7] else value)

    def list_tasks(self, request: dict[str, Any]) -> list[str]:
        """Answer ``ListTasks``: the ARNs of a service's tasks."""
        name = str(request["serviceName"]).rpartition("/")[2]
        tasks = (task for task in self.tasks() if (task.region, task.service) == (request["region"], name))
        return [task.arn for task in tasks if task.stop_by is None]

    def protect(self, request: dict[str, Any]) -> list[str]:
        """Answer ``UpdateTaskProtection``: have a scale-in spare tasks, or no longer; return their ARNs."""
        wanted = {str(name).rpartition("/")[2] for name in request["tasks"]}
        tasks = [task for task in self.tasks() if task.region == request["region"] and task.id in wanted]
        minutes = float(request.get("expiresInMinutes") or 120)
        for task in tasks:
            task.protected_until = time.monotonic() + 60 * minutes if request["protectionEnabled"] else 0.0
        return [task.arn for task in tasks]

    def _describe(self, request: Request) -> Response:
        """Answer ``GET /ecs/<task id>/task``, the task metadata endpoint version 4."""
        for task in self.tasks():
            if request.target == f"/ecs/{task.id}/task":
                return Response(200, json.dumps({"Cluster": task.cluster, "TaskARN": task.arn}).encode())
        return Response(404, b"{}")

    def check(self) -> None:
        """Raise where tasks keep ending by themselves.

        Raises
        ------
        UnavailableError
            The message has the last line of the log of each.
        """
        for (region, key), service in self._services.items():
            if service.failures >= 3:
                name = key.rpartition(":")[2]
                logs = sorted(
                    (self._directory / "logs").glob(f"{region}.{name}.*.log"), key=lambda p: p.stat().st_mtime
                )
                lines = logs[-1].read_text(errors="replace").splitlines() if logs else []
                last = lines[-1] if lines else "it wrote nothing"
                raise UnavailableError(
                    f"{name} in {region} keeps ending: {last}; see {logs[-1] if logs else 'logs/'}"
                )

    def close(self) -> None:
        """End every task."""
        with self._lock:
            for task in self.tasks():
                task.process.kill()
            self._services.clear()
        self._metadata.close()
