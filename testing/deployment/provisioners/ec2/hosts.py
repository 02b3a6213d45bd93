"""EC2 instances that a template starts by itself.

Not proven here: that the image exists, the instance starts, and its user data run.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from ministack.services import ec2

from ..refusals import RefusedError, require

Properties = Mapping[str, Any]
Created = tuple[str, dict[str, Any]]


def create(_name: str, properties: Properties, _stack: str) -> Created:
    """Start an instance in a subnet, from a launch template or from its own properties."""
    subnet = require(ec2._subnets, properties["SubnetId"], "InvalidSubnetID.NotFound")
    groups = list(properties.get("SecurityGroupIds", []))
    for group in groups:
        record = require(ec2._security_groups, group, "InvalidGroup.NotFound")
        if record["VpcId"] != subnet["VpcId"]:
            raise RefusedError(f"InvalidParameter: {group} and {properties['SubnetId']} are of two VPCs")
    data = {**_template(properties), **properties}
    [instance] = ec2._launch_instances_internal(
        image_id=data["ImageId"],
        instance_type=data["InstanceType"],
        subnet_id=properties["SubnetId"],
        count=1,
        sg_ids=groups,
        requested_private_ip=_address(subnet["CidrBlock"]),
    )
    instance["SourceDestCheck"] = bool(properties.get("SourceDestCheck", True))
    identifier = instance["InstanceId"]
    return identifier, {
        "InstanceId": identifier,
        "PrivateIp": instance["PrivateIpAddress"],
        "AvailabilityZone": subnet.get("AvailabilityZone", ""),
    }


def _template(properties: Properties) -> Properties:
    specification = properties.get("LaunchTemplate")
    if not specification:
        return {}
    template = require(
        ec2._launch_templates, specification["LaunchTemplateId"], "InvalidLaunchTemplateId.NotFound"
    )
    versions = {str(version["VersionNumber"]): version for version in template["Versions"]}
    version = require(versions, str(specification["Version"]), "InvalidLaunchTemplateId.VersionNotFound")
    data: Properties = version["LaunchTemplateData"]
    return data


def _address(block: str) -> str:
    """Return an address of a subnet; AWS keeps the first four and the last."""
    network = IPv4Network(block)
    return str(network[4 + secrets.randbelow(network.num_addresses - 5)])


def delete(instance: str, _properties: Properties) -> None:
    """Terminate an instance."""
    if instance in ec2._instances:
        ec2._terminate_instances({"InstanceId.1": [instance]})


HANDLERS = {"AWS::EC2::Instance": {"create": create, "delete": delete}}
