"""Run ministack with our provisioners: ``python -m provisioners.serve``, in ministack's environment.

A provisioner's module has ``HANDLERS`` of resource types that ministack lacks, or ``OVERRIDES`` of single
operations of those that it has, or ``ACTIONS`` of a service's API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.app import main
from ministack.services import ec2
from ministack.services.cloudformation import _ACTION_HANDLERS
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

from . import (
    alarms,
    capacity,
    events,
    file_systems,
    network,
    service_linked_roles,
    services,
    stacks,
)
from .corrections import registry, secret

Operations = Mapping[str, Callable[..., Any] | bool]


def _add(provisioners: Mapping[str, Operations]) -> None:
    for kind, operations in provisioners.items():
        if kind in _RESOURCE_HANDLERS:
            raise SystemExit(f"ministack has {kind} now: remove our provisioner")
        _RESOURCE_HANDLERS[kind] = dict(operations)


def _override(provisioners: Mapping[str, Operations]) -> None:
    for kind, operations in provisioners.items():
        _RESOURCE_HANDLERS[kind] = {**_RESOURCE_HANDLERS[kind], **operations}


for module in (network, file_systems, capacity, alarms):
    _add(module.HANDLERS)
for overriding in (network, capacity, secret, services, service_linked_roles, stacks):
    _override(overriding.OVERRIDES)
ec2._ACTION_MAP.update(network.ACTIONS)
_ACTION_HANDLERS.update(stacks.ACTIONS)
events.install()
registry.install()
stacks.install()

main()
