"""Every parameter of a profile is one that the template takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from dask_regions.deploy.profiles import CLIENT, WORKER, client_parameters, worker_parameters
from dask_regions.models import System

ROOT = Path(__file__).parents[3]
TEMPLATES = {
    "template.yaml": CLIENT,
    "regional_stack/template.yaml": WORKER,
}


def declared(template: str) -> dict[str, dict[str, Any]]:
    return dict(yaml_parse((ROOT / template).read_text())["Parameters"])


def problems(parameters: dict[str, str | int], specs: dict[str, dict[str, Any]]) -> list[str]:
    """Return what CloudFormation would refuse."""
    refused = []
    for name, value in parameters.items():
        spec = specs.get(name)
        if spec is None:
            refused.append(f"{name} is not declared")
        elif str(value) not in map(str, spec.get("AllowedValues", [value])):
            refused.append(f"{name}={value} is not allowed")
        elif not re.search(spec.get("AllowedPattern", ""), str(value)):
            refused.append(f"{name}={value} has another form")
        elif not float(spec.get("MinValue", "-inf")) <= float(value if "MinValue" in spec else 0):
            refused.append(f"{name}={value} is too small")
        elif not float(value if "MaxValue" in spec else 0) <= float(spec.get("MaxValue", "inf")):
            refused.append(f"{name}={value} is too large")
    return refused


@pytest.mark.parametrize("network", ["peering", "transit-gateway"])
@pytest.mark.parametrize("profile", ["standard", "small"])
def test_templates_take_what_a_profile_gives(profile: Any, network: Any) -> None:
    system = System(name="team", profile=profile, network=network)
    assert problems(client_parameters(system), declared("template.yaml")) == []
    assert problems(worker_parameters(system), declared("regional_stack/template.yaml")) == []


@pytest.mark.parametrize("template", TEMPLATES)
def test_profiles_decide_the_same_things(template: str) -> None:
    assert TEMPLATES[template]["small"].keys() == TEMPLATES[template]["standard"].keys()


def test_a_value_that_a_template_refuses_is_noticed() -> None:
    specs: dict[str, dict[str, Any]] = {
        "Kind": {"AllowedValues": ["a", "b"]},
        "Days": {"MinValue": 1, "MaxValue": 7},
        "Name": {"AllowedPattern": "^[a-z]+$"},
    }
    assert problems({"Kind": "c", "Days": 9, "Name": "A", "Other": 1}, specs) == [
        "Kind=c is not allowed",
        "Days=9 is too large",
        "Name=A has another form",
        "Other is not declared",
    ]
    assert problems({"Days": 0}, specs) == ["Days=0 is too small"]
    assert problems({"Kind": "a", "Days": 7, "Name": "a"}, specs) == []
