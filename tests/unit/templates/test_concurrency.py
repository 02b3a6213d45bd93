"""Requests to the API cannot starve the functions that scale, where concurrency can be reserved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

TEMPLATE: dict[str, Any] = yaml_parse((Path(__file__).parents[3] / "template.yaml").read_text())
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}
#: Executions that an account has once it is no longer new, and those of them that cannot be reserved.
USUAL_LIMIT, UNRESERVED = 1000, 100


def reserved() -> dict[str, int]:
    """Return how many executions each function reserves, and check that none does unasked."""
    counts = {}
    for name, properties in FUNCTIONS.items():
        if (given := properties.get("ReservedConcurrentExecutions")) is not None:
            condition, count, otherwise = given["Fn::If"]
            assert (condition, otherwise) == ("Reserved", {"Ref": "AWS::NoValue"}), name
            counts[name] = count
    return counts


def test_what_scales_watches_and_joins_has_executions_of_its_own() -> None:
    machines = [
        resource["Properties"]["DefinitionSubstitutions"]
        for name, resource in TEMPLATE["Resources"].items()
        if name in ("ScalePoolStateMachine", "JoinRegionsStateMachine")
    ]
    needed = {argument.removesuffix("Arn") for machine in machines for argument in machine}
    assert (
        needed | {"WatchSchedulerFunction", "StopPoolsFunction", "ServeCatalogFunction"} <= reserved().keys()
    )


def test_an_account_s_usual_limit_suffices_and_a_new_account_reserves_nothing() -> None:
    assert sum(reserved().values()) <= USUAL_LIMIT - UNRESERVED - 40, "40 functions harvest at once"
    assert TEMPLATE["Parameters"]["LambdaConcurrency"]["Default"] == "shared"
    assert TEMPLATE["Conditions"]["Reserved"] == {"Fn::Equals": [{"Ref": "LambdaConcurrency"}, "reserved"]}
