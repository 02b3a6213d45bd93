"""Start the workers of one ECS task: ``python -m dask_regions.placement.processes.worker``.

It is ``dask worker`` in the same process, so that signals reach Dask's own handlers. Environment:
``AWS_REGION`` and ``DASK_SCHEDULER_ADDRESS`` (both required), ``WORKERS_PER_TASK`` (1),
``THREADS_PER_WORKER`` (1), ``WORKER_PORTS`` and ``NANNY_PORTS`` (those that the templates open), and on
ECS ``ECS_CONTAINER_METADATA_URI_V4``.
"""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Mapping

from dask_regions.errors import ConfigurationError, UnavailableError
from dask_regions.names import region_resource
from dask_regions.placement.processes.waiting import wait_for_scheduler
from dask_regions.settings import Settings, process_environment

__all__ = ["arguments", "main", "task_id"]

_PRELOAD_MODULE = "dask_regions.placement.processes.worker_preload"
_METADATA_SECONDS = 5.0


def task_id(environ: Mapping[str, str]) -> str:
    """Return the id of the ECS task this process runs in, or the host's name outside ECS.

    Raises
    ------
    UnavailableError
        Where the metadata endpoint is announced and does not answer.

    Notes
    -----
    Source: "Amazon ECS task metadata endpoint version 4", path ``${ECS_CONTAINER_METADATA_URI_V4}/task``.
    """
    endpoint = Settings.from_environment(environ).ecs_metadata_url
    if not endpoint:
        return socket.gethostname()
    try:
        # ECS sets the address, and it is plain HTTP on the container's own link.
        with urllib.request.urlopen(f"{endpoint}/task", timeout=_METADATA_SECONDS) as answer:  # noqa: S310
            arn: str = json.load(answer)["TaskARN"]
    except (OSError, ValueError, KeyError) as error:
        raise UnavailableError(
            f"the metadata endpoint of ECS ({endpoint}/task) gave no TaskARN: {error}; stop this task, "
            "ECS starts another"
        ) from error
    return arn.rsplit("/", 1)[-1]


def arguments(environ: Mapping[str, str]) -> list[str]:
    """Return the arguments of ``dask worker`` that the environment asks for.

    Raises
    ------
    ConfigurationError
        One line for every required variable that is missing.
    """
    missing = [name for name in ("AWS_REGION", "DASK_SCHEDULER_ADDRESS") if not environ.get(name)]
    if missing:
        raise ConfigurationError(*(f"{name} is not set; set it for this worker" for name in missing))
    settings = Settings.from_environment(environ)
    region, workers = settings.require("aws_region"), settings.workers_per_task
    # Dask numbers the workers of a process only if there are several. We always do, because the
    # ECS task is the name without its last number, and an id may itself end in one.
    name = f"{region}.{task_id(environ)}"
    alone = workers == 1
    options = ["--nworkers", str(workers), "--nthreads", str(settings.threads_per_worker)]
    options += ["--name", f"{name}-0" if alone else name]
    options += ["--resources", f"{region_resource(region)}=1"]
    # Dask's own limit is by threads per core of the host, of which a container may have a part.
    options += ["--worker-port", settings.worker_ports]
    if alone:
        options += ["--no-nanny"]
    else:
        options += ["--nanny-port", settings.nanny_ports, "--memory-limit", f"{1 / workers:.4f}"]
    return [settings.require("scheduler_address"), *options, "--preload", _PRELOAD_MODULE]


def main() -> None:
    """Run the workers until SIGINT or SIGTERM; wait before for a scheduler that is not there yet."""
    options = arguments(process_environment())
    wait_for_scheduler(Settings.from_environment().require("scheduler_address"))
    from distributed.cli.dask_worker import main as dask_worker

    dask_worker(args=options, prog_name="dask worker")


if __name__ == "__main__":
    main()
