"""The resources that a template makes for some parameters, those of nested stacks included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dask_regions_local.emulator.templates import Resource, Stack, read_template

__all__ = ["Deployed", "Inventory", "inventory"]


@dataclass(frozen=True)
class Deployed:
    """A resource, with its properties resolved."""

    logical: str
    kind: str
    properties: Mapping[str, Any]


@dataclass
class Inventory:
    """All resources of one stack.

    Attributes
    ----------
    resources
        By what ``Ref`` returns, in the order in which they are made.
    """

    resources: dict[str, Deployed] = field(default_factory=dict)

    def of(self, kind: str) -> list[Deployed]:
        """Return the resources of a type."""
        return [resource for resource in self.resources.values() if resource.kind == kind]


def inventory(template: Path, region: str, parameters: Mapping[str, str]) -> Inventory:
    """Return what a template makes; resources whose condition does not hold are left out.

    Raises
    ------
    ConfigurationError
        Where the template is wrong, or lacks a parameter's value.
    """
    made = Inventory()

    def deploy(name: str, path: Path, values: Mapping[str, str]) -> dict[str, Any]:
        return Stack(name, region, read_template(path), values, create).deploy()

    def create(stack: Stack, logical: str, kind: str, properties: dict[str, Any]) -> Resource:
        reference = f"{stack.name}-{logical}"
        if kind == "AWS::CloudFormation::Stack":
            outputs = deploy(reference, Path(properties["TemplateURL"]), properties.get("Parameters", {}))
            return Resource(reference, {f"Outputs.{name}": value for name, value in outputs.items()})
        made.resources[reference] = Deployed(logical, kind, properties)
        return Resource(reference)

    deploy("system", template, parameters)
    return made
