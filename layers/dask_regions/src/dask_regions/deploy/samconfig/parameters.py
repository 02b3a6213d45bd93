"""Parameters of each stack: what ``datasets.yaml`` says, as the templates want it said."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from dask_regions.deploy.checkout import CLIENT_TEMPLATE, WORKER_TEMPLATE, Checkout
from dask_regions.deploy.profiles import client_parameters, worker_parameters
from dask_regions.deploy.samconfig.places import earlier_places, places
from dask_regions.errors import ConfigurationError
from dask_regions.models import Configuration, Dataset, Region

__all__ = ["Declaration", "complete", "declarations", "given", "template_of"]


class Declaration(BaseModel):
    """A parameter as a template declares it; fields as in CloudFormation."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str = Field(alias="Type")
    description: str = Field(default="", alias="Description")
    default: str | int | float | None = Field(default=None, alias="Default")
    allowed_values: tuple[str | int | float, ...] = Field(default=(), alias="AllowedValues")
    allowed_pattern: str = Field(default="", alias="AllowedPattern")
    minimum: float | None = Field(default=None, alias="MinValue")
    maximum: float | None = Field(default=None, alias="MaxValue")

    def problem(self, value: str) -> str | None:
        """Return why CloudFormation would refuse a value; None where it would not."""
        if self.allowed_values and value not in map(str, self.allowed_values):
            return f"must be one of {', '.join(map(str, self.allowed_values))}"
        if self.kind == "Number":
            return self._problem_of_number(value)
        parts = value.split(",") if self.kind == "CommaDelimitedList" else [value]
        if any(not re.search(self.allowed_pattern, part) for part in parts):
            return "does not have the form that it must have"
        return None

    def _problem_of_number(self, value: str) -> str | None:
        try:
            number = float(value)
        except ValueError:
            return "must be a number"
        low = self.minimum is not None and number < self.minimum
        high = self.maximum is not None and number > self.maximum
        return f"must be from {self.minimum:g} to {self.maximum:g}" if low or high else None


class _TemplateLoader(yaml.SafeLoader):
    """Reads a template without its intrinsic functions, of which parameters have none."""


def _nothing(_loader: yaml.Loader, _suffix: str, _node: yaml.Node) -> None:
    return None


_TemplateLoader.add_multi_constructor("!", _nothing)


def declarations(template: Path) -> dict[str, Declaration]:
    """Return the parameters that a template declares, by name."""
    document: Any = yaml.load(template.read_text(encoding="utf-8"), Loader=_TemplateLoader)  # noqa: S506
    parameters = document.get("Parameters", {})
    return {name: Declaration.model_validate(parameter) for name, parameter in parameters.items()}


def given(configuration: Configuration, region: Region, checkout: Checkout) -> dict[str, str]:
    """Return what a Region's stack is given: by the profile, by system and Region, and by hand.

    A later one of these goes before an earlier one. What is not named keeps the template's default.

    Raises
    ------
    ConfigurationError
        One line for every parameter of the Region that its template lacks, or would refuse.
    """
    declared = declarations(template_of(region, checkout))
    by_hand = _texts(region.parameters)
    if region.client:
        values = _texts(client_parameters(configuration.system)) | _of_client(configuration)
    else:
        values = _texts(worker_parameters(configuration.system)) | _of_worker(
            configuration, region, earlier_places(checkout.root / "samconfig.toml", region.name)
        )
    named = {"SystemName": configuration.system.name}
    values = named | values | by_hand
    if problems := list(_problems(region.name, values, declared)):
        raise ConfigurationError(*problems)
    return {name: value for name, value in values.items() if value or declared[name].default != ""}


def complete(configuration: Configuration, region: Region, checkout: Checkout) -> dict[str, str]:
    """Return all parameters of a Region's stack: what it is given, and the template's defaults.

    Raises
    ------
    ConfigurationError
        As :func:`given` does.
    """
    declared = declarations(template_of(region, checkout))
    defaults = {
        name: str(declaration.default)
        for name, declaration in declared.items()
        if declaration.default is not None
    }
    return defaults | given(configuration, region, checkout)


def template_of(region: Region, checkout: Checkout) -> Path:
    """Return the path of the template of a Region's stack."""
    return checkout.root / (CLIENT_TEMPLATE if region.client else WORKER_TEMPLATE)


def _of_client(configuration: Configuration) -> dict[str, str]:
    client = configuration.client_region
    arns = _arns(client.name, configuration.copies)
    pool = {"ClientPoolMaximumTasks": str(client.pool.maximum_tasks)} if client.pool else {}
    return {
        "Cidr": str(client.cidr),
        **({"DatasetBucketArns": arns} if arns else {}),
        **pool,
    }


def _of_worker(configuration: Configuration, region: Region, earlier: str) -> dict[str, str]:
    client = configuration.client_region
    datasets = configuration.datasets_of(region.name)
    mounted = [dataset.bucket for dataset in datasets if dataset.access == "fsx"]
    arns = _arns(region.name, datasets)
    pool = region.pool
    return {
        "SystemName": configuration.system.name,
        "ClientRegion": client.name,
        "ClientCidr": str(client.cidr),
        "NetworkKind": configuration.system.network,
        "Cidr": str(region.cidr),
        "DatasetBuckets": places(mounted, earlier),
        **({"SourceBucketArns": arns} if arns else {}),
        "MaximumTasks": str(pool.maximum_tasks if pool else 1),
    }


def _arns(region: str, datasets: tuple[Dataset, ...]) -> str:
    """Return the ARNs of all buckets, each as itself, to list it, and with ``/*``, to read it."""
    partition = {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")
    buckets = sorted({dataset.bucket for dataset in datasets})
    return ",".join(f"arn:{partition}:s3:::{bucket}{end}" for bucket in buckets for end in ("", "/*"))


def _problems(region: str, values: Mapping[str, str], declared: Mapping[str, Declaration]) -> Iterator[str]:
    for name, value in values.items():
        if name not in declared:
            close = difflib.get_close_matches(name, declared, n=1)
            advice = f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(declared))}"
            yield f"datasets.yaml: Region {region}: its stack has no parameter {name}; {advice}"
        elif problem := declared[name].problem(value):
            yield (
                f"datasets.yaml: Region {region}: {name}={value} {problem}; correct it there. The template "
                f"says: {declared[name].description}"
            )
    for name, declaration in declared.items():
        if declaration.default is None and name not in values:
            yield (
                f"datasets.yaml: Region {region}: its stack wants the parameter {name}; give the Region a "
                "dataset, or name it under the Region's 'parameters'"
            )


def _texts(values: Mapping[str, str | int | float]) -> dict[str, str]:
    return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in values.items()}
