"""Identifiers that persist outside the process, each defined once.

The templates repeat some of them as text; ``tests/unit/test_templates.py`` checks that they agree.
"""

from __future__ import annotations

__all__ = [
    "COMPUTE_TOPIC",
    "MEMORY_METRIC",
    "METRIC_NAMESPACE",
    "MISSING_METRIC",
    "POOLS_ROUTE",
    "POOL_TOPIC",
    "REGION_ANNOTATION",
    "REGION_DIMENSION",
    "SURPLUS_METRIC",
    "cluster_name",
    "file_system_parameter",
    "region_of_resource",
    "region_resource",
    "service_name",
    "token_secret",
]

#: Dask annotation on the layers that read a Region's data: it stops fusion across Regions.
REGION_ANNOTATION = "region"
#: Topics of ``Scheduler.log_event`` that a connected client listens to.
POOL_TOPIC = "dask-regions-pools"
COMPUTE_TOPIC = "dask-regions-compute"
#: Prefix of the scheduler's own HTTP routes (port 8787), behind a bearer token.
POOLS_ROUTE = "/dask-regions/pools"

#: CloudWatch metrics, published in each pool's own Region, one dimension: the Region.
METRIC_NAMESPACE = "DaskRegions"
REGION_DIMENSION = "Region"
#: ECS tasks that the pool wants and does not have, and has and does not want; count, high resolution.
MISSING_METRIC = "TasksMissing"
SURPLUS_METRIC = "TasksSurplus"
#: Fraction of the pool's memory in use, 0 to 1.
MEMORY_METRIC = "MemoryUsed"

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


def file_system_parameter(system: str) -> str:
    """Return the SSM path, in a worker Region, of the id of its FSx for Lustre file system."""
    return f"/dask-regions/{system}/file-system/id"


def token_secret(system: str) -> str:
    """Return the name, in the client Region, of the secret that opens the scheduler's HTTP routes."""
    return f"/dask-regions/{system}/scheduler/token"
