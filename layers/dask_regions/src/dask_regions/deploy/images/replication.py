"""Replication of images by ECR: a registry has one configuration, into which ours is merged. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["repositories", "with_system", "without_system"]

_Rules = list[dict[str, Any]]


def repositories(system: str) -> tuple[str, str]:
    """Return the names of a system's repositories, the scheduler's and the workers'."""
    return f"{system}-scheduler", f"{system}-worker"


def with_system(rules: _Rules, system: str, account: str, regions: Sequence[str]) -> _Rules:
    """Return the rules with one that replicates a system's images.

    Parameters
    ----------
    rules
        What the registry has, in ECR's form; rules of others stay as they are.
    account
        Number of the account whose registries take the images.
    regions
        Regions that take them; with none, there is no rule.
    """
    others = without_system(rules, system)
    if not regions:
        return others
    rule = {
        "destinations": [{"region": region, "registryId": account} for region in sorted(regions)],
        "repositoryFilters": _filters(system),
    }
    return [*others, rule]


def without_system(rules: _Rules, system: str) -> _Rules:
    """Return the rules without a system's."""
    names = set(repositories(system))
    return [rule for rule in rules if {each["filter"] for each in rule.get("repositoryFilters", [])} != names]


def _filters(system: str) -> list[dict[str, str]]:
    return [{"filter": name, "filterType": "PREFIX_MATCH"} for name in repositories(system)]
