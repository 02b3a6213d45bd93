"""``samconfig.toml`` is what ``datasets.yaml`` says, and a parameter that a template would refuse is told."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from dask_regions import config
from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.samconfig.environments import environments, render
from dask_regions.deploy.samconfig.parameters import Declaration, given
from dask_regions.errors import ConfigurationError
from dask_regions.models import Configuration

ROOT = Path(__file__).parents[3]
CHECKOUT = Checkout(ROOT)


@pytest.fixture
def shipped() -> Configuration:
    return config.load(ROOT / "datasets.yaml")


def with_parameters(shipped: Configuration, name: str, **parameters: str | int | float) -> Configuration:
    regions = tuple(
        region.model_copy(update={"parameters": parameters}) if region.name == name else region
        for region in shipped.regions
    )
    return shipped.model_copy(update={"regions": regions})


def worker(shipped: Configuration) -> str:
    return next(region.name for region in shipped.regions if not region.client)


def test_the_committed_file_is_what_the_command_writes(shipped: Configuration) -> None:
    committed = (ROOT / "samconfig.toml").read_text(encoding="utf-8")
    assert committed == render(shipped, CHECKOUT), "run `dask-regions config`, and commit what it writes"


def test_every_region_has_an_environment_for_its_images_and_one_for_its_stack(shipped: Configuration) -> None:
    written = tomllib.loads(render(shipped, CHECKOUT))
    names = [region.name for region in shipped.regions]
    stacks = {"client", *(region.name for region in shipped.regions if not region.client)}
    builder = f"builder-{shipped.client_region.name}"
    assert written.keys() == {"version", "default", builder, *stacks, *(f"images-{name}" for name in names)}
    assert written["client"]["build"]["parameters"]["build_in_source"] is True


def test_a_regions_own_parameters_go_before_all_others(shipped: Configuration) -> None:
    name = worker(shipped)
    made = environments(with_parameters(shipped, name, MaximumTasks=9), CHECKOUT)
    assert "MaximumTasks=9" in made[name]["parameter_overrides"]
    assert not any("MaximumTasks=9" in text for text in made["client"]["parameter_overrides"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"MaximumTask": 9}, "its stack has no parameter MaximumTask; did you mean MaximumTasks?"),
        ({"MaximumTasks": 4000}, "MaximumTasks=4000 must be from 1 to 1000; correct it there"),
        ({"MaximumTasks": "many"}, "MaximumTasks=many must be a number; correct it there"),
        ({"ImageTag": "a b"}, "ImageTag=a b does not have the form that it must have"),
    ],
)
def test_what_a_template_would_refuse_is_refused_before(
    shipped: Configuration, parameters: dict[str, Any], message: str
) -> None:
    name = worker(shipped)
    changed = with_parameters(shipped, name, **parameters)
    region = next(region for region in changed.regions if region.name == name)
    with pytest.raises(ConfigurationError) as refusal:
        given(changed, region, CHECKOUT)
    assert message in str(refusal.value)
    assert name in str(refusal.value)


def test_a_value_that_is_not_among_the_allowed_is_told_with_them() -> None:
    declared = Declaration.model_validate({"Type": "String", "AllowedValues": ["a", "b"]})
    assert declared.problem("c") == "must be one of a, b"
    assert declared.problem("a") is None


def test_each_part_of_a_list_is_held_to_the_pattern() -> None:
    declared = Declaration.model_validate({"Type": "CommaDelimitedList", "AllowedPattern": "^[a-z]+$"})
    assert declared.problem("a,b") is None
    assert declared.problem("a,1") == "does not have the form that it must have"
