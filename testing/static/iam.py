"""What the roles of functions and ECS tasks allow, and what the code that has them calls.

Actions are compared, resources and conditions are not: that an ARN is the right one is shown where the
templates are deployed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from testing.static.reach import Call, calls_of_text, reached_calls, reached_texts
from testing.templates import statements

__all__ = ["allowed", "called", "code_of", "roles"]

#: IAM's prefix of the services whose client has another name.
_PREFIXES = {"stepfunctions": "states"}
#: Operations whose action has another name. Source: "Actions, resources, and condition keys for Amazon S3".
_ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
}
_OPENSEARCH = "dask_regions.catalog.opensearch"
_HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
#: Roles of ECS tasks: template and logical id to the modules that run with them.
_TASKS = {
    ("regional_stack/scheduler.yaml", "TaskRole"): (
        "dask_regions.placement.processes.scheduler",
        "dask_regions.placement.processes.scheduler_preload",
    ),
    ("regional_stack/client_pool.yaml", "TaskRole"): (
        "dask_regions.placement.processes.worker",
        "dask_regions.placement.processes.worker_preload",
    ),
    ("regional_stack/workers.yaml", "TaskRole"): (
        "dask_regions.placement.processes.worker",
        "dask_regions.placement.processes.worker_preload",
    ),
}


def roles(templates: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield template and logical id of every function and role, those of no code included."""
    kinds = ("AWS::Serverless::Function", "AWS::IAM::Role")
    for template, document in templates.items():
        for name, resource in document["Resources"].items():
            if resource["Type"] in kinds:
                yield template, name


def code_of(templates: Mapping[str, dict[str, Any]], template: str, name: str) -> tuple[str, ...]:
    """Return the modules, or the texts of modules, that run with a role; none where it is no code's."""
    resource = templates[template]["Resources"][name]
    if resource["Type"] == "AWS::Serverless::Function":
        return (str(PurePosixPath(resource["Properties"]["CodeUri"], "app.py")),)
    inline = tuple(
        other["Properties"]["Code"]["ZipFile"]
        for other in templates[template]["Resources"].values()
        if other["Type"] == "AWS::Lambda::Function"
        and other["Properties"]["Role"] == {"Fn::GetAtt": [name, "Arn"]}
    )
    return _TASKS.get((template, name), inline)


def called(code: tuple[str, ...]) -> set[str]:
    """Return the IAM actions of every call of AWS that some modules reach."""
    actions: set[str] = set()
    for entry in code:
        in_template = "\n" in entry
        actions |= {_action(call) for call in (calls_of_text(entry) if in_template else reached_calls(entry))}
        texts = set() if in_template else reached_texts(entry, _OPENSEARCH)
        actions |= {f"es:ESHttp{method.title()}" for method in _HTTP_METHODS if method in texts}
    return actions


def _action(call: Call) -> str:
    action = f"{_PREFIXES.get(call.service, call.service)}:{call.operation}"
    return _ACTIONS.get(action, action)


def allowed(templates: Mapping[str, dict[str, Any]], template: str, name: str) -> set[str]:
    """Return the actions that a role's own policies and those of this project that it names allow."""
    resource = templates[template]["Resources"][name]
    properties = resource["Properties"]
    policies = properties.get("Policies", [])
    attached = [*properties.get("ManagedPolicyArns", []), *(policies if isinstance(policies, list) else [])]
    for reference in attached:
        policies = [policies, _policy(templates, template, reference)]
    for other in templates[template]["Resources"].values():
        if other["Type"] == "AWS::IAM::Policy" and {"Ref": name} in other["Properties"].get("Roles", []):
            policies = [policies, other["Properties"]]
    return {
        action
        for statement in statements(policies)
        if statement["Effect"] == "Allow"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


def _policy(templates: Mapping[str, dict[str, Any]], template: str, reference: Any) -> Any:
    """Follow a reference to a managed policy of this project, through parameters and outputs of stacks."""
    if not isinstance(reference, dict):
        return None
    resources = templates[template]["Resources"]
    if "Ref" in reference:
        name = reference["Ref"]
        if name in resources:
            return resources[name]["Properties"]
        parents = [
            (parent, nested["Properties"]["Parameters"][name])
            for parent, document in templates.items()
            for nested in document["Resources"].values()
            if _nested_template(parent, nested) == template and name in nested["Properties"]["Parameters"]
        ]
        return [_policy(templates, *parent) for parent in parents]
    if "Fn::GetAtt" in reference:
        name, attribute = reference["Fn::GetAtt"]
        child = _nested_template(template, resources[name])
        if child and attribute.startswith("Outputs."):
            output = templates[child]["Outputs"][attribute.removeprefix("Outputs.")]["Value"]
            return _policy(templates, child, output)
    return None


def _nested_template(template: str, resource: Mapping[str, Any]) -> str | None:
    properties = resource.get("Properties", {})
    location = properties.get("Location") or properties.get("TemplateURL")
    return str(PurePosixPath(template).parent / location) if isinstance(location, str) else None
