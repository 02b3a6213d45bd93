"""What the environment says, read in one place.

An explicit argument beats the environment, and the environment beats the default. An empty
variable counts as absent, because templates cannot leave one out.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dask_regions.errors import ConfigurationError
from dask_regions.names import NANNY_PORTS, WORKER_PORTS

__all__ = ["Settings", "environment", "process_environment", "set_default"]

_VARIABLES = {
    "system_name": "SYSTEM_NAME",
    "client_region": "CLIENT_REGION",
    "datasets_file": "DATASETS_FILE",
    "catalog_url": "CATALOG_URL",
    "api_access": "API_ACCESS",
    "staging_bucket": "STAGING_BUCKET",
    "scheduler_url": "SCHEDULER_URL",
    "scheduler_secret": "SCHEDULER_SECRET",
    "target_duration": "TARGET_DURATION",
    "aws_region": "AWS_REGION",
    "no_workers_timeout": "NO_WORKERS_TIMEOUT",
    "scheduler_token": "SCHEDULER_TOKEN",
    "publish_seconds": "PUBLISH_SECONDS",
    "host": "HOST",
    "scheduler_port": "SCHEDULER_PORT",
    "dashboard_port": "DASHBOARD_PORT",
    "scheduler_address": "DASK_SCHEDULER_ADDRESS",
    "workers_per_task": "WORKERS_PER_TASK",
    "threads_per_worker": "THREADS_PER_WORKER",
    "worker_ports": "WORKER_PORTS",
    "nanny_ports": "NANNY_PORTS",
    "ecs_metadata_url": "ECS_CONTAINER_METADATA_URI_V4",
    "scheduler_idle_minutes": "SCHEDULER_IDLE_MINUTES",
    "scale_pool_arn": "SCALE_POOL_ARN",
    "alarm_topic_arn": "ALARM_TOPIC_ARN",
}


@dataclass(frozen=True)
class Settings:
    """Settings of one process, each from the environment variable of the same name in capitals.

    Attributes
    ----------
    system_name
        Name of the system; default ``dask-regions``.
    client_region
        Region of the stack to which ``datasets.yaml`` is published.
    datasets_file
        Path of a ``datasets.yaml`` that goes before the published one: local runs and tests.
    catalog_url
        Where the catalog is, e.g. ``sqlite:////mnt/catalog/catalog.sqlite``.
    api_access
        Whom the catalog's API answers: ``public`` (everybody), ``iam`` or ``jwt``.
    staging_bucket
        Bucket through which the steps of a sync hand Items on.
    scheduler_url
        Address of the scheduler's web server, e.g. ``http://scheduler.internal:8787``.
    scheduler_secret
        Id of the secret that holds the scheduler's bearer token.
    target_duration
        Seconds in which a pool should finish the work it has; default 90.
    aws_region
        Region of this process.
    no_workers_timeout
        Seconds that a task waits for an empty pool before it fails; default 600.
    scheduler_token
        Bearer token that the scheduler's routes want; without one they refuse.
    publish_seconds
        Seconds from one publication of the pools' demand to the next; default 10.
    host
        Address on which the scheduler listens; every interface by default.
    scheduler_port, dashboard_port
        Ports of the scheduler and of its web server; default 8786 and 8787.
    scheduler_address
        Address that workers connect to, e.g. ``tcp://scheduler.internal:8786``.
    workers_per_task, threads_per_worker
        Number of Dask workers of one ECS task, and of threads of each; default 1.
    worker_ports, nanny_ports
        First and last port on which the workers of an ECS task listen, and their nannies, e.g.
        ``10000:10063``; ``0`` lets the kernel choose. Default: the ports that the templates open.
    ecs_metadata_url
        Task metadata endpoint of ECS, version 4; absent outside ECS.
    scheduler_idle_minutes
        Minutes without clients and Dask tasks after which the scheduler is stopped; 0, the default, is never.
    scale_pool_arn
        ARN of the state machine ``scale_pool``.
    alarm_topic_arn
        ARN of the topic that tells the operator.
    """

    system_name: str = "dask-regions"
    client_region: str | None = None
    datasets_file: Path | None = None
    catalog_url: str | None = None
    api_access: Literal["public", "iam", "jwt"] = "public"
    staging_bucket: str | None = None
    scheduler_url: str | None = None
    scheduler_secret: str | None = None
    target_duration: float = 90.0
    aws_region: str | None = None
    no_workers_timeout: float = 600.0
    scheduler_token: str | None = field(default=None, repr=False)
    publish_seconds: float = 10.0
    host: str = ""
    scheduler_port: int = 8786
    dashboard_port: int = 8787
    scheduler_address: str | None = None
    workers_per_task: int = 1
    threads_per_worker: int = 1
    worker_ports: str = "{}:{}".format(*WORKER_PORTS)
    nanny_ports: str = "{}:{}".format(*NANNY_PORTS)
    ecs_metadata_url: str | None = None
    scheduler_idle_minutes: int = 0
    scale_pool_arn: str | None = None
    alarm_topic_arn: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **explicit: Any) -> Settings:
        """Read the environment.

        Parameters
        ----------
        environ
            The variables; the process's own by default.
        **explicit
            Values by field name; they beat the environment, unless None.

        Raises
        ------
        ConfigurationError
            One line for every variable whose value is wrong.
        """
        variables = os.environ if environ is None else environ
        values: dict[str, Any] = {
            name: variables[variable] for name, variable in _VARIABLES.items() if variables.get(variable)
        }
        values |= {name: value for name, value in explicit.items() if value is not None}
        problems = []
        for name, check in _CHECKS.items():
            if name not in values:
                continue
            try:
                values[name] = check(values[name])
            except ValueError as error:
                variable = f"{_VARIABLES[name]}={values[name]!r}"
                problems.append(f"{variable}: {error}; correct this environment variable")
        if problems:
            raise ConfigurationError(*problems)
        return cls(**values)

    def require(self, name: str) -> str:
        """Return a setting that must be there.

        Raises
        ------
        ConfigurationError
            Where it is absent; the message names the environment variable to set.

        Examples
        --------
        >>> Settings(catalog_url="sqlite:////mnt/catalog/catalog.sqlite").require("catalog_url")
        'sqlite:////mnt/catalog/catalog.sqlite'
        """
        value = getattr(self, name)
        if value is None:
            raise ConfigurationError(f"{_VARIABLES[name]} is not set; set this environment variable")
        return str(value)


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", value):
        raise ValueError("must be up to 40 small letters, digits and hyphens, a letter first")
    return value


def _access(value: str) -> str:
    if value not in ("public", "iam", "jwt"):
        raise ValueError("must be public, iam or jwt")
    return value


def _seconds(value: str | float) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError("must be a number of seconds above 0")
    return seconds


def _token(value: str) -> str | None:
    return value.strip() or None


def _number(value: str | int) -> int:
    try:
        number = int(value)
    except ValueError:
        number = -1
    if number < 0:
        raise ValueError("must be a whole number from 0")
    return number


def _count(value: str | int) -> int:
    number = _number(value)
    if not number:
        raise ValueError("must be a whole number above 0")
    return number


def _ports(value: str) -> str:
    first, _, last = value.partition(":")
    if value != "0" and not (first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) < 65536):
        raise ValueError("must be the first and the last of some ports, like 10000:10063, or 0")
    return value


# By hand: every function imports this module, and pydantic would be two fifths of what a search imports.
_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "system_name": _name,
    "api_access": _access,
    "datasets_file": Path,
    "target_duration": _seconds,
    "no_workers_timeout": _seconds,
    "scheduler_token": _token,
    "publish_seconds": _seconds,
    "scheduler_port": _number,
    "dashboard_port": _number,
    "workers_per_task": _count,
    "threads_per_worker": _count,
    "worker_ports": _ports,
    "nanny_ports": _ports,
    "scheduler_idle_minutes": _number,
}


def process_environment() -> Mapping[str, str]:
    """Return the environment of this process, for what starts another program with it."""
    return os.environ


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables of this process for a while; children that start meanwhile get them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def set_default(**variables: str) -> None:
    """Set environment variables of this process that are not set."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
