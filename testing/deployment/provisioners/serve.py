"""Run ministack with our provisioners: ``python -m provisioners.serve``, in ministack's environment."""

from __future__ import annotations

from ministack.app import main
from ministack.services import ec2
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

from . import capacity, file_systems, network

for module in (network, file_systems, capacity):
    for kind, handlers in module.HANDLERS.items():
        if kind in _RESOURCE_HANDLERS:
            raise SystemExit(f"ministack has {kind} now: remove our provisioner")
        _RESOURCE_HANDLERS[kind] = handlers
for kind, delete in {**network.DELETIONS, **capacity.DELETIONS}.items():
    _RESOURCE_HANDLERS[kind] = {**_RESOURCE_HANDLERS[kind], "delete": delete}
for kind, create in capacity.CREATIONS.items():
    _RESOURCE_HANDLERS[kind] = {**_RESOURCE_HANDLERS[kind], "create": create}
ec2._ACTION_MAP.update(network.ACTIONS)

main()
