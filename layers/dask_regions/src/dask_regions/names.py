"""Identifiers that persist outside the process, each defined once.

The templates repeat some of them as text; ``tests/unit/templates/test_templates.py`` checks that they agree.
"""

from __future__ import annotations

import re

__all__ = [
    "COMPUTE_TOPIC",
    "CONFIGURATION_KEY",
    "CONTROL_INDEX",
    "DESIRED_METRIC",
    "DOWN_METRIC",
    "GEOMETRIES_INDEX",
    "LATEST_SYNC_REPORT",
    "LIVE_ALIAS",
    "MEMORY_METRIC",
    "METRIC_NAMESPACE",
    "MISSING_METRIC",
    "NANNY_PORTS",
    "POOLS_ROUTE",
    "POOL_TOPIC",
    "REGIONS_FIELD",
    "REGION_ANNOTATION",
    "REGION_DIMENSION",
    "RUNNING_METRIC",
    "SCHEDULER_ACTIVITY_ROUTE",
    "SCHEDULER_PORTS",
    "SURPLUS_METRIC",
    "SYNC_METRICS",
    "SYSTEM_DIMENSION",
    "WORKER_PORTS",
    "api_parameter",
    "builder_stack",
    "client_stack",
    "cluster_name",
    "configuration_parameter",
    "file_system_parameter",
    "generation_index",
    "images_stack",
    "joined_parameter",
    "network_parameter",
    "region_of_resource",
    "region_resource",
    "scheduler_name",
    "scheduler_parameter",
    "scheduler_service",
    "service_name",
    "spending_parameter",
    "sync_report",
    "token_secret",
    "worker_stack",
    "writing_alias",
]

#: Member of Collections and of Items' properties that says per Region where the data are, and how fresh.
REGIONS_FIELD = "dask_regions:regions"
#: Dask annotation on the layers that read a Region's data: it stops fusion across Regions.
REGION_ANNOTATION = "region"
#: Topics of ``Scheduler.log_event`` that a connected client listens to.
POOL_TOPIC = "dask-regions-pools"
COMPUTE_TOPIC = "dask-regions-compute"
#: Prefix of the scheduler's own HTTP routes (port 8787), behind a bearer token.
POOLS_ROUTE = "/dask-regions/pools"
SCHEDULER_ACTIVITY_ROUTE = "/dask-regions/activity"

#: Key of ``datasets.yaml`` in the bucket to which it is published.
CONFIGURATION_KEY = "datasets.yaml"

#: Ports of the scheduler: Dask's own, and its web server's.
SCHEDULER_PORTS = (8786, 8787)
#: First and last port on which the workers of an ECS task listen, and their nannies.
WORKER_PORTS = (10000, 10063)
NANNY_PORTS = (10100, 10163)

#: CloudWatch metrics, published in each pool's own Region, by system and Region.
METRIC_NAMESPACE = "DaskRegions"
SYSTEM_DIMENSION = "System"
REGION_DIMENSION = "Region"
#: ECS tasks that the pool wants and does not have, and has and does not want; count, high resolution.
MISSING_METRIC = "TasksMissing"
SURPLUS_METRIC = "TasksSurplus"
#: In the client Region, by system: 1 where the scheduler should run and does not answer, else 0.
DOWN_METRIC = "SchedulerDown"
#: In the client Region, by system and the pool's Region: ECS tasks asked for, and running.
DESIRED_METRIC = "TasksDesired"
RUNNING_METRIC = "TasksRunning"
#: Fraction of the pool's memory in use, 0 to 1.
MEMORY_METRIC = "MemoryUsed"
#: CloudWatch metrics of each sync, published in the client Region by system and Region synced. Metric to what
#: it counts in the sync's report; seconds and dollars are those, the rest are counts.
SYNC_METRICS = {
    "SyncItems": "items",
    "SyncItemsAdded": "added",
    "SyncItemsChanged": "changed",
    "SyncItemsRemoved": "removed",
    "SyncSourcesSkipped": "skipped",
    "SyncObjectsListed": "objects_listed",
    "SyncListRequests": "lists",
    "SyncGetRequests": "gets",
    "SyncSeconds": "seconds",
    "SyncDollars": "dollars",
    "SyncFailed": "failed",
}

#: Key in the staging bucket of the report of the last sync that ended.
LATEST_SYNC_REPORT = "sync/reports/latest.json"

#: OpenSearch, each behind the prefix of the catalog's URL: the index that says which generation is live,
#: that of the Items' geometries, and the alias of the live Items for people with a console.
CONTROL_INDEX = "catalog"
GEOMETRIES_INDEX = "geometries"
LIVE_ALIAS = "items"

_RESOURCE_PREFIX = "region-"


def region_resource(region: str) -> str:
    """Return the abstract Dask resource that the workers of a Region offer, e.g. ``region-us-west-2``."""
    return _RESOURCE_PREFIX + region


def region_of_resource(resource: str) -> str | None:
    """Return the Region of an abstract resource, or None where it is not one of ours."""
    return resource.removeprefix(_RESOURCE_PREFIX) if resource.startswith(_RESOURCE_PREFIX) else None


def cluster_name(system: str) -> str:
    """Return the name of the ECS cluster that a system runs in every Region."""
    return system


def service_name(system: str) -> str:
    """Return the name of the ECS service whose tasks are a Region's pool."""
    return f"{system}-workers"


def scheduler_service(system: str) -> str:
    """Return the name, in the client Region, of the ECS service that runs the scheduler."""
    return f"{system}-scheduler"


def spending_parameter(system: str) -> str:
    """Return the SSM path, in the client Region, of why all pools are stopped, if they are (JSON)."""
    return f"/dask-regions/{system}/spending"


def file_system_parameter(system: str) -> str:
    """Return the SSM path, in a worker Region, of the id of its FSx for Lustre file system."""
    return f"/dask-regions/{system}/file-system/id"


def network_parameter(system: str) -> str:
    """Return the SSM path, in every Region, of the network that its stack publishes (JSON)."""
    return f"/dask-regions/{system}/network"


def joined_parameter(system: str) -> str:
    """Return the SSM path, in the client Region, of the VPCs that are joined or were told to leave (JSON)."""
    return f"/dask-regions/{system}/joined"


def scheduler_parameter(system: str) -> str:
    """Return the SSM path, in the client Region, of the scheduler's address and hosted zone (JSON)."""
    return f"/dask-regions/{system}/scheduler"


def api_parameter(system: str) -> str:
    """Return the SSM path, in the client Region, of the catalog's URL."""
    return f"/dask-regions/{system}/api"


def configuration_parameter(system: str) -> str:
    """Return the SSM path, in the client Region, of bucket, key and version of ``datasets.yaml`` (JSON)."""
    return f"/dask-regions/{system}/configuration"


def scheduler_name(system: str) -> str:
    """Return the name of the scheduler in the system's private hosted zone."""
    return f"scheduler.{system}.internal"


def client_stack(system: str) -> str:
    """Return the name of the client Region's stack."""
    return system


def worker_stack(system: str) -> str:
    """Return the name of the stack of each worker Region."""
    return f"{system}-worker"


def images_stack(system: str) -> str:
    """Return the name of the stack, in every Region, of the ECR repositories."""
    return f"{system}-images"


def builder_stack(system: str) -> str:
    """Return the name of the stack, in the client Region, that builds images where there is no Docker."""
    return f"{system}-builder"


def token_secret(system: str) -> str:
    """Return the name, in the client Region, of the secret that opens the scheduler's HTTP routes."""
    return f"/dask-regions/{system}/scheduler/token"


def sync_report(generation: str) -> str:
    """Return the key in the staging bucket of a sync's report."""
    return f"sync/reports/{generation}.json"


def generation_index(kind: str, collection: str, generation: str, attempt: str) -> str:
    """Return the name of the OpenSearch index of a Collection in a generation.

    Parameters
    ----------
    kind
        ``items`` or ``sources``.
    attempt
        Random hexadecimal digits, which make the name unique.

    Examples
    --------
    >>> generation_index("items", "cmip6", "20261121T000000Z-5d0c1a2b", "7f")
    'items-cmip6-g20261121t000000z-5d0c1a2b-7f'
    """
    return f"{kind}-{_lower(collection)}-g{_lower(generation)}-{attempt}"


def writing_alias(index: str) -> str:
    """Return the alias through which an OpenSearch index of a generation is written."""
    return f"{index}-writing"


def _lower(text: str) -> str:
    # OpenSearch takes no capitals; what this makes equal, the attempt tells apart.
    return re.sub(r"[^a-z0-9._-]", "-", text.lower())[:80]
