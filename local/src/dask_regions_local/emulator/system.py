"""The whole system on one machine: the deployed artefacts, run by moto and real Dask."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dask_regions.aws.configuration import publish
from dask_regions.config import load
from dask_regions.errors import UnavailableError
from dask_regions.local_state import LocalState, write_state
from dask_regions.models import Configuration, Region
from dask_regions_local.emulator.alarms import Alarms
from dask_regions_local.emulator.aws import Aws, serve
from dask_regions_local.emulator.deploy import Deployment
from dask_regions_local.emulator.functions.lambdas import Functions
from dask_regions_local.emulator.functions.layers import build_runtime
from dask_regions_local.emulator.http.front import HttpApi
from dask_regions_local.emulator.http.server import Server
from dask_regions_local.emulator.moto_patches import Hooks, applied
from dask_regions_local.emulator.places import Places
from dask_regions_local.emulator.pools import Pools
from dask_regions_local.emulator.processes.lifecycle import (
    Loop,
    background,
    exclusive,
    logging_to,
    sigterm_exits,
)
from dask_regions_local.emulator.schedules import Schedules
from dask_regions_local.emulator.storage import FileSystems, Storage, localise_datasets
from dask_regions_local.settings import DATASETS

__all__ = ["LocalSystem", "deliver", "invoke"]

#: Seconds until scheduler and workers answer; a warm machine needs ten.
_READY_TIMEOUT = 120.0


class LocalSystem:
    """Deploy the templates into moto, and run functions, state machines, scheduler and workers.

    A context manager: entered, the system is ready; left, nothing of it runs. There is one in a
    directory, and one in a process. While it runs, boto3 in this process reaches it and no account.
    It starts with an empty catalog, as a new deployment does.

    Parameters
    ----------
    directory
        State: ``s3/<region>/<bucket>/`` (read at the start), ``fsx/``, ``catalog/``, ``logs/``.
    root
        Root of the repository: templates, functions, layers and ``local/datasets.yaml``.
    parameters
        Template parameters by Region, then by name; they beat local mode's own.
    opensearch_url
        OpenSearch server that keeps the catalog, e.g. ``http://localhost:9200``; SQLite files by default.
    progress
        Told what happens, in a few words.

    Raises
    ------
    UnavailableError
        Where a system runs in the directory already, or a part does not start.
    ConfigurationError
        Where a template or ``local/datasets.yaml`` is wrong.

    Attributes
    ----------
    api_url, dashboard_url, aws_endpoint, scheduler_address
        Where its parts answer.
    regions
        Names of the worker Regions.
    client_region
        Name of the client Region.
    state_machines
        ARN of every state machine by its logical id.
    schedules
        Starts what the templates start by the clock, which :meth:`Schedules.advance` sets ahead.
    datasets_file
        ``datasets.yaml`` with the FSx paths of this machine.

    Examples
    --------
    >>> with LocalSystem(Path(".local"), root=Path.cwd()) as system:  # doctest: +SKIP
    ...     print(system.api_url)
    """

    api_url: str
    dashboard_url: str
    aws_endpoint: str
    scheduler_address: str
    state_machines: dict[str, str]
    pools: Pools
    schedules: Schedules

    def __init__(
        self,
        directory: Path,
        *,
        root: Path,
        parameters: Mapping[str, Mapping[str, str]] | None = None,
        opensearch_url: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._opensearch_url = opensearch_url
        self.directory, self._root = directory.resolve(), root.resolve()
        self._parameters, self._progress = parameters or {}, progress
        self.datasets_file = self.directory / "datasets.yaml"
        self._configuration: Configuration = load(self._root / DATASETS)
        self.client_region = self._configuration.client_region.name
        self.regions = tuple(name for name in self._configuration.pools if name != self.client_region)
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> LocalSystem:
        with contextlib.ExitStack() as stack:  # undoes what is done, where a stage fails
            stack.enter_context(sigterm_exits())
            stack.enter_context(exclusive(self.directory))
            places = self._prepare(stack)
            aws = stack.enter_context(serve(self.client_region))
            functions = self._emulate(stack, aws, places)
            self._deploy(stack, aws, functions)
            self._wait_until_ready()
            write_state(self.directory, self._state())
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def upload(self) -> int:
        """Put the files below ``s3/`` into the buckets again; return how many there are."""
        return self._storage.upload()

    def _prepare(self, stack: contextlib.ExitStack) -> Places:
        """Empty the directory of what another run left, and choose where parts are reached."""
        for name in ("catalog", "logs", "scratch"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
            (self.directory / name).mkdir()
        localise_datasets(self._root / DATASETS, self.datasets_file, self.directory / "fsx")
        self._configuration = load(self.datasets_file)
        log = self.directory / "logs" / "local.log"
        stack.enter_context(logging_to(log, "dask_regions_local", "moto", "werkzeug"))
        places = Places.with_free_ports(self.directory, self._opensearch_url)
        self.scheduler_address, self.dashboard_url = places.scheduler_address, places.dashboard_url
        return places

    def _emulate(self, stack: contextlib.ExitStack, aws: Aws, places: Places) -> Functions:
        """Add to moto what it lacks: functions, file systems and ECS tasks."""
        self.aws_endpoint = aws.endpoint
        files = FileSystems(aws, self._configuration)
        runtime = build_runtime(self.directory / "scratch" / "runtime")
        functions = Functions(runtime, self.directory / "logs", places.localise, aws.endpoint)
        stack.callback(functions.close)
        self.pools = Pools(aws, self._all_regions, self.directory, places.localise, places.task_environment)
        stack.callback(self.pools.close)
        hooks = Hooks(
            invoke=lambda *request: invoke(functions, *request),
            deliver=lambda arn, event: deliver(aws, arn, event),
            create_task=files.create_task,
            describe_tasks=files.describe_tasks,
            list_tasks=self.pools.list_tasks,
            protect=self.pools.protect,
        )
        stack.enter_context(applied(hooks))
        return functions

    def _deploy(self, stack: contextlib.ExitStack, aws: Aws, functions: Functions) -> None:
        """Deploy the templates, and serve the API; uploads, layers and ECS tasks go on meanwhile."""
        self._progress("deploying the templates")
        api = HttpApi()
        executor = stack.enter_context(ThreadPoolExecutor(4))
        deployment = Deployment(aws, functions, api, self._root, executor)
        self._storage = Storage(aws, self.directory / "s3", self._configuration)
        self._storage.create()
        uploaded = executor.submit(self._storage.upload)
        stack.enter_context(Loop(self.pools.reconcile, interval=0.2))
        self._deploy_stacks(deployment)
        stack.enter_context(Loop(Alarms(aws, self._all_regions).evaluate, interval=1.0))
        self.schedules = Schedules(self._all_regions, lambda arn, event: deliver(aws, arn, event))
        stack.enter_context(Loop(self.schedules.run, interval=1.0))
        self.state_machines = deployment.state_machines
        stack.callback(_stop_executions, aws, self.client_region, list(self.state_machines.values()))
        self.api_url = stack.enter_context(Server(api.served_by(functions.call))).url
        uploaded.result()
        self._progress("building the layers")
        deployment.finish()

    @property
    def _all_regions(self) -> tuple[str, ...]:
        return (self.client_region, *self.regions)

    def _deploy_stacks(self, deployment: Deployment) -> None:
        client = self._configuration.client_region
        buckets = ",".join(f"arn:aws:s3:::{item.bucket}" for item in self._configuration.copies)
        engine = "sqlite" if self._opensearch_url is None else "opensearch"
        name = "dask-regions"
        client_parameters = {
            "DatasetBucketArns": buckets,
            "TargetDuration": "10",
            "CatalogEngine": engine,
            # This machine is the notebook: it has the environment.
            "Notebook": "false",
            "ClientPoolMaximumTasks": str(client.pool.maximum_tasks if client.pool else 0),
        }
        deployment.deploy(
            name, client.name, self._root / "template.yaml", self._values(client, client_parameters)
        )
        publish(name, client.name, self.datasets_file)
        template = self._root / "regional_stack" / "template.yaml"
        for region in self._configuration.regions:
            if region.pool is not None and not region.client:
                deployment.deploy(name, region.name, template, self._values(region, self._of_pool(region)))

    def _of_pool(self, region: Region) -> dict[str, str]:
        assert region.pool is not None
        datasets = self._configuration.datasets_of(region.name)
        return {
            "ClientRegion": self.client_region,
            "ClientCidr": str(self._configuration.client_region.cidr),
            "DatasetBuckets": ",".join(sorted({dataset.bucket for dataset in datasets})),
            "MaximumTasks": str(region.pool.maximum_tasks),
            "ScaleInPeriods": "2",
        }

    def _values(self, region: Region, own: Mapping[str, str]) -> dict[str, str]:
        common = {"Cidr": str(region.cidr), "WorkersPerTask": "1", "ThreadsPerWorker": "1"}
        return {**common, **own, **self._parameters.get(region.name, {})}

    def _wait_until_ready(self) -> None:
        self._progress("waiting for scheduler and workers")
        wanted = sum(pool.minimum_tasks for pool in self._configuration.pools.values())
        url = self.dashboard_url.removesuffix("/status") + "/json/counts.json"
        deadline = time.monotonic() + _READY_TIMEOUT
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
                if json.load(answer)["workers"] >= wanted:
                    return
            self.pools.check()
            time.sleep(0.1)
        raise UnavailableError(
            f"scheduler and {wanted} workers did not answer in {_READY_TIMEOUT:.0f} s; "
            f"see {self.directory / 'logs'}"
        )

    def _state(self) -> LocalState:
        return LocalState(
            pid=os.getpid(),
            api_url=self.api_url,
            scheduler_address=self.scheduler_address,
            dashboard_url=self.dashboard_url,
            aws_endpoint=self.aws_endpoint,
            client_region=self.client_region,
            datasets_file=self.datasets_file,
            regions=self.regions,
            state_machines=self.state_machines,
        )


def invoke(functions: Functions, region: str, name: str, event: bytes, wait: bool) -> tuple[bool, bytes]:
    if wait:
        return functions.invoke(region, name, event)
    background(lambda: functions.invoke(region, name, event))
    return False, b""


def deliver(aws: Aws, arn: str, event: Any) -> None:
    """Start what an event rule targets, in the background as EventBridge does."""
    service, region = arn.split(":")[2:4]

    def start() -> None:
        if service == "lambda":
            payload = json.dumps(event)
            aws.client(service, region).invoke(FunctionName=arn, InvocationType="Event", Payload=payload)
        elif service == "sns":
            message = event if isinstance(event, str) else json.dumps(event)
            aws.client(service, region).publish(TopicArn=arn, Message=message)
        else:
            machines = aws.client("stepfunctions", region)
            machines.start_execution(stateMachineArn=arn, name=uuid.uuid4().hex, input=json.dumps(event))

    background(start)


def _stop_executions(aws: Aws, region: str, state_machines: list[str]) -> None:
    """Stop what runs, so that no state finds its function gone."""
    client = aws.client("stepfunctions", region)
    for arn in state_machines:
        for execution in client.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]:
            client.stop_execution(executionArn=execution["executionArn"])
