"""``samconfig.toml`` from ``datasets.yaml``: one environment of ``sam deploy`` for each stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomlkit

from dask_regions.deploy.checkout import BUILDER_TEMPLATE, IMAGES_TEMPLATE, WORKER_TEMPLATE, Checkout
from dask_regions.deploy.samconfig.parameters import given
from dask_regions.models import Configuration, Region
from dask_regions.names import builder_stack, client_stack, images_stack, worker_stack

__all__ = [
    "BUILT_TEMPLATE",
    "builder_environment",
    "environment_of",
    "environments",
    "images_environment",
    "render",
]

#: The client Region's template as ``sam build`` writes it; without a build there is nothing to deploy.
BUILT_TEMPLATE = ".aws-sam/build/template.yaml"

_HEADER = """\
`dask-regions config` writes this file from datasets.yaml and the profile that it names: edit that instead.
Each environment is one stack: images-<Region> has the ECR repositories, builder-<Region> makes images where
there is no Docker, and the others are the Regions' own.
`dask-regions deploy` uses them in the right order; by hand: `sam deploy --config-env client`."""
_BUILD = {"template_file": "template.yaml", "build_in_source": True}


def environment_of(region: Region) -> str:
    """Return the environment of a Region's stack."""
    return "client" if region.client else region.name


def images_environment(region: str) -> str:
    """Return the environment of the stack of a Region's ECR repositories."""
    return f"images-{region}"


def builder_environment(region: str) -> str:
    """Return the environment of the stack that builds images in the client Region."""
    return f"builder-{region}"


def environments(configuration: Configuration, checkout: Checkout) -> dict[str, dict[str, Any]]:
    """Return the parameters of ``sam deploy`` by environment.

    Raises
    ------
    ConfigurationError
        Where a Region's parameters do not fit its template.
    """
    name = configuration.system.name
    images = {
        images_environment(region.name): _environment(
            configuration, region, IMAGES_TEMPLATE, images_stack(name), {"SystemName": name}
        )
        for region in configuration.regions
    }
    stacks = {
        environment_of(region): _environment(
            configuration,
            region,
            BUILT_TEMPLATE if region.client else WORKER_TEMPLATE,
            client_stack(name) if region.client else worker_stack(name),
            given(configuration, region, checkout),
        )
        for region in configuration.regions
    }
    client = configuration.client_region
    builder = _environment(configuration, client, BUILDER_TEMPLATE, builder_stack(name), {"SystemName": name})
    return images | stacks | {builder_environment(client.name): builder}


def _environment(
    configuration: Configuration, region: Region, template: str, stack: str, values: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "template_file": template,
        "stack_name": stack,
        "region": region.name,
        "resolve_s3": True,
        "capabilities": "CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND",
        "confirm_changeset": True,
        "fail_on_empty_changeset": False,
        "tags": f"system={configuration.system.name} client-region={configuration.client_region.name}",
        "parameter_overrides": [f"{key}={value or chr(34) * 2}" for key, value in values.items()],
    }


def render(configuration: Configuration, checkout: Checkout) -> str:
    """Return the text of ``samconfig.toml``.

    Raises
    ------
    ConfigurationError
        Where a Region's parameters do not fit its template.
    """
    document = tomlkit.document()
    for line in _HEADER.splitlines():
        document.add(tomlkit.comment(line))
    document["version"] = 0.1
    sections = {
        "default": {"build": {"parameters": _BUILD}},
        "client": {"build": {"parameters": _BUILD}},
    }
    for environment, values in environments(configuration, checkout).items():
        section: dict[str, Any] = sections.setdefault(environment, {})
        section["deploy"] = {"parameters": values}
    for environment, section in sections.items():
        document[environment] = _super_table(section)
    return tomlkit.dumps(document)


def _super_table(section: Mapping[str, Any]) -> tomlkit.items.Table:
    table = tomlkit.table(is_super_table=True)
    for command, content in section.items():
        inner = tomlkit.table(is_super_table=True)
        parameters = tomlkit.table()
        for key, value in content["parameters"].items():
            parameters[key] = _multiline(value) if isinstance(value, list) else value
        inner["parameters"] = parameters
        table[command] = inner
    return table


def _multiline(values: list[str]) -> tomlkit.items.Array:
    array = tomlkit.array().multiline(multiline=True)
    array.extend(values)
    return array
