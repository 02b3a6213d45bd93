"""Run ministack with our provisioners: ``python -m provisioners.serve``, in ministack's environment.

A provisioner's module has ``HANDLERS`` of resource types that ministack lacks, or ``OVERRIDES`` of single
operations of those that it has, or ``ACTIONS`` of a service's API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.app import SERVICE_HANDLERS, main
from ministack.core.router import SERVICE_PATTERNS
from ministack.services import autoscaling, ec2
from ministack.services.cloudformation import _ACTION_HANDLERS
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

from . import alarms, events, file_systems, notebooks, service_linked_roles, stacks
from .corrections import nested_stacks, registry, secret
from .ec2 import flow_logs, gateways, hosts, networks, prefix_lists, routes
from .ecs import capacity, services

Operations = Mapping[str, Callable[..., Any] | bool]


def _add(provisioners: Mapping[str, Operations]) -> None:
    for kind, operations in provisioners.items():
        if kind in _RESOURCE_HANDLERS:
            raise SystemExit(f"ministack has {kind} now: remove our provisioner")
        _RESOURCE_HANDLERS[kind] = dict(operations)


def _override(provisioners: Mapping[str, Operations]) -> None:
    for kind, operations in provisioners.items():
        _RESOURCE_HANDLERS[kind] = {**_RESOURCE_HANDLERS[kind], **operations}


for module in (
    networks,
    gateways,
    prefix_lists,
    hosts,
    flow_logs,
    file_systems,
    capacity,
    alarms,
    notebooks,
):
    _add(module.HANDLERS)
for overriding in (networks, prefix_lists, nested_stacks, capacity, secret, services, service_linked_roles):
    _override(overriding.OVERRIDES)
for answering in (networks, gateways, prefix_lists, routes):
    ec2._ACTION_MAP.update(answering.ACTIONS)
autoscaling._ACTION_MAP.update(capacity.ACTIONS)
SERVICE_HANDLERS["fsx"] = file_systems.handle_request
SERVICE_PATTERNS["fsx"] = {"target_prefixes": ["AWSSimbaAPIService_v20180301"]}
_ACTION_HANDLERS.update(stacks.ACTIONS)
events.install()
registry.install()
stacks.install()

main()
