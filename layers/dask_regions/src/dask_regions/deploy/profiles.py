"""Profiles: the parameters of the stacks that a system starts from.

``standard`` serves a team day and night. ``small`` costs little while nobody computes: the catalog is in
files, a NAT instance replaces the gateway, the scheduler stops when it is idle, and what is convenient
only is left out. ``docs/cost.md`` has what each costs. Parameters of a Region in ``datasets.yaml`` go
before the profile's, and what neither names has the template's default.

Not here, because ``datasets.yaml`` says it: bounds of pools, and the buckets that FSx shows. A Region
without such buckets has no file system.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dask_regions.models import System

__all__ = ["CLIENT", "WORKER", "client_parameters", "worker_parameters"]

Value = str | int
Profiles = Mapping[str, Mapping[str, Value]]

_BOTH: Profiles = {
    "standard": {
        "Egress": "nat-gateway",
        "KeyManagement": "customer",
        "FlowLogs": "true",
        "ContainerInsights": "enabled",
        "LogRetentionDays": 30,
    },
    "small": {
        "Egress": "nat-instance",
        "KeyManagement": "aws",
        "FlowLogs": "false",
        "ContainerInsights": "disabled",
        "LogRetentionDays": 7,
    },
}

#: Profile to parameters of ``template.yaml``.
CLIENT: Profiles = MappingProxyType(
    {
        "standard": {
            **_BOTH["standard"],
            "CatalogEngine": "opensearch",
            "SchedulerCpu": 2048,
            "SchedulerMemory": 8192,
            "SchedulerIdleMinutes": 0,
            "Notebook": "true",
            "DashboardBalancer": "true",
            "MonthlyBudget": 3000,
        },
        "small": {
            **_BOTH["small"],
            "CatalogEngine": "sqlite",
            "SchedulerCpu": 1024,
            "SchedulerMemory": 4096,
            "SchedulerIdleMinutes": 60,
            "Notebook": "false",
            "DashboardBalancer": "false",
            "MonthlyBudget": 200,
        },
    }
)

#: Profile to parameters of ``regional_stack/template.yaml``.
WORKER: Profiles = MappingProxyType({name: dict(parameters) for name, parameters in _BOTH.items()})


def client_parameters(system: System) -> dict[str, Value]:
    """Return the parameters that the client Region's stack starts from.

    Examples
    --------
    >>> client_parameters(System(profile="small"))["CatalogEngine"]
    'sqlite'
    """
    return {**CLIENT[system.profile], "SystemName": system.name, "NetworkKind": system.network}


def worker_parameters(system: System) -> dict[str, Value]:
    """Return the parameters that every worker Region's stack starts from."""
    return {**WORKER[system.profile], "SystemName": system.name, "NetworkKind": system.network}
