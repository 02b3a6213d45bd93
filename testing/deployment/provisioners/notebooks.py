"""Notebook instances of SageMaker with their lifecycle configurations.

Not proven here: that an instance starts, or that its script works in time.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import ec2

from .refusals import RefusedError, require

Properties = Mapping[str, Any]
Created = tuple[str, dict[str, Any]]
#: Characters of a script in base64: NotebookInstanceLifecycleHook, SageMaker API Reference.
MAX_SCRIPT_CHARACTERS = 16384
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")

notebooks: AccountRegionScopedDict = AccountRegionScopedDict()
lifecycle_configs: AccountRegionScopedDict = AccountRegionScopedDict()


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind}/{name}"


def _name(properties: Properties, key: str, default: str, taken: Mapping[str, Any]) -> str:
    name = str(properties.get(key) or default)
    if not _NAME.fullmatch(name):
        raise RefusedError(f"ValidationException: {name!r} failed to satisfy the pattern of {key}")
    if name in taken:
        raise RefusedError(f"ValidationException: {name} already exists")
    return name


def create_notebook(name: str, properties: Properties, stack: str) -> Created:
    """Create a notebook instance; without direct internet access it needs a subnet."""
    instance = _name(properties, "NotebookInstanceName", f"{stack}-{name}", notebooks)
    if properties.get("DirectInternetAccess") == "Disabled" and "SubnetId" not in properties:
        raise RefusedError("ValidationException: DirectInternetAccess may be Disabled only with a subnet")
    if "SubnetId" in properties:
        subnet = require(ec2._subnets, properties["SubnetId"], "InvalidSubnetID.NotFound")
        for group in properties["SecurityGroupIds"]:
            record = require(ec2._security_groups, group, "InvalidGroup.NotFound")
            if record["VpcId"] != subnet["VpcId"]:
                raise RefusedError(
                    f"ValidationException: {group} and {properties['SubnetId']} are in different VPCs"
                )
    if "LifecycleConfigName" in properties:
        require(lifecycle_configs, properties["LifecycleConfigName"], "ValidationException")
    notebooks[instance] = dict(properties)
    return _arn("notebook-instance", instance), {"NotebookInstanceName": instance}


def delete_notebook(arn: str, _properties: Properties) -> None:
    """Delete a notebook instance, which CloudFormation stops before."""
    notebooks.pop(arn.rsplit("/", 1)[-1], None)


def create_lifecycle_config(name: str, properties: Properties, stack: str) -> Created:
    """Create a lifecycle configuration of scripts in base64."""
    key = "NotebookInstanceLifecycleConfigName"
    config = _name(properties, key, f"{stack}-{name}", lifecycle_configs)
    for hook in (*properties.get("OnStart", ()), *properties.get("OnCreate", ())):
        if len(hook["Content"]) > MAX_SCRIPT_CHARACTERS:
            raise RefusedError(
                f"ValidationException: Content has more than {MAX_SCRIPT_CHARACTERS} characters"
            )
        base64.b64decode(hook["Content"], validate=True)
    lifecycle_configs[config] = dict(properties)
    return _arn("notebook-instance-lifecycle-config", config), {key: config}


def delete_lifecycle_config(arn: str, _properties: Properties) -> None:
    """Delete a lifecycle configuration; refused while an instance has it."""
    config = arn.rsplit("/", 1)[-1]
    users = [name for name, each in notebooks.items() if each.get("LifecycleConfigName") == config]
    if users:
        raise RefusedError(f"ValidationException: {config} is used by {users[0]}")
    lifecycle_configs.pop(config, None)


HANDLERS = {
    "AWS::SageMaker::NotebookInstance": {"create": create_notebook, "delete": delete_notebook},
    "AWS::SageMaker::NotebookInstanceLifecycleConfig": {
        "create": create_lifecycle_config,
        "delete": delete_lifecycle_config,
    },
}
