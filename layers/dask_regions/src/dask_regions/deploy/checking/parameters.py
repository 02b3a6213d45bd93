"""The parameters that ``datasets.yaml`` gives a Region's stack, against the templates that declare them."""

from __future__ import annotations

from typing import Any

from dask_regions.config import Document, suggest
from dask_regions.deploy.checkout import CLIENT_TEMPLATE, WORKER_TEMPLATE, Checkout
from dask_regions.deploy.samconfig.parameters import Declaration, declarations

__all__ = ["check_parameters"]

#: Parameters that other entries of the file set.
_SET_ELSEWHERE = {
    "SystemName": "'name' under 'system'",
    "NetworkKind": "'network' under 'system'",
    "Cidr": "'cidr' of the Region",
    "ClientRegion": "'client: true'",
    "ClientCidr": "'cidr' of the client Region",
    "MinimumTasks": "'minimum_tasks' of the Region's pool",
    "MaximumTasks": "'maximum_tasks' of the Region's pool",
    "DatasetBuckets": "the datasets",
    "DatasetBucketArns": "the datasets",
    "SourceBucketArns": "the datasets",
}


def check_parameters(checkout: Checkout, document: Document) -> None:
    """Reject what a template would refuse: names that it lacks, and values that it does not allow."""
    for index, region in document.entries("regions"):
        given = region.get("parameters")
        if not isinstance(given, dict):
            continue
        template = CLIENT_TEMPLATE if region.get("client") is True else WORKER_TEMPLATE
        declared = declarations(checkout.root / template)
        for name, value in given.items():
            if problem := _problem(str(name), value, declared, template):
                document.reject(("regions", index, "parameters", str(name)), problem)


def _problem(name: str, value: Any, declared: dict[str, Declaration], template: str) -> str | None:
    if name in _SET_ELSEWHERE:
        return f"parameter {name} follows from {_SET_ELSEWHERE[name]}; change it there, and remove it here"
    if name not in declared:
        free = sorted(declared.keys() - _SET_ELSEWHERE.keys())
        return f"{template} has no parameter {name!r}; {suggest(name, free)}"
    if isinstance(value, bool):
        return f"{name} {str(value).lower()} is no text; write '{str(value).lower()}' in quotes"
    problem = declared[name].problem(str(value))
    return f"{name} {value!r} {problem}; the template says: {declared[name].description}" if problem else None
