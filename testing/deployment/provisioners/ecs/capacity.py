"""ECS capacity providers and their Auto Scaling groups.

Not proven here: that an instance starts, and joins the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ministack.services import autoscaling, ecs
from ministack.services.cloudformation import provisioners as stock

from ..refusals import RefusedError

Properties = Mapping[str, Any]


def _answer(response: tuple[int, Any, bytes]) -> dict[str, Any]:
    status, _, body = response
    document: dict[str, Any] = json.loads(body)
    if status >= 400:
        raise RefusedError(f"{document.get('__type', status)}: {document.get('message', body)}")
    return document


def create_provider(name: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    """Create a capacity provider over an Auto Scaling group."""
    provider = properties.get("Name") or f"{stack}-{name}"
    request = {"name": provider, **stock._pascal_to_camel(dict(properties))}
    request["name"] = provider
    _answer(ecs._create_capacity_provider(request))
    return provider, {}


def delete_provider(provider: str, _properties: Properties) -> None:
    """Delete a capacity provider; refused while a cluster uses it."""
    users = [
        name for name, cluster in ecs._clusters.items() if provider in cluster.get("capacityProviders", [])
    ]
    if users:
        raise RefusedError(
            f"ResourceInUseException: capacity provider {provider} is in use by cluster {users[0]}"
        )
    if provider in ecs._capacity_providers:
        _answer(ecs._delete_capacity_provider({"capacityProvider": provider}))


def create_associations(_name: str, properties: Properties, _stack: str) -> tuple[str, dict[str, Any]]:
    """Give a cluster its capacity providers."""
    cluster = properties["Cluster"]
    absent = [
        name
        for name in properties["CapacityProviders"]
        if name not in ecs._capacity_providers and not name.startswith("FARGATE")
    ]
    if absent:
        raise RefusedError(f"InvalidParameterException: the capacity provider {absent[0]} does not exist")
    _answer(
        ecs._put_cluster_capacity_providers(
            {
                "cluster": cluster,
                "capacityProviders": properties["CapacityProviders"],
                "defaultCapacityProviderStrategy": stock._pascal_to_camel(
                    properties.get("DefaultCapacityProviderStrategy", [])
                ),
            }
        )
    )
    return cluster, {}


def delete_associations(cluster: str, _properties: Properties) -> None:
    """Take a cluster's capacity providers away; refused while a service uses them."""
    services = [
        service["serviceName"]
        for service in ecs._services.values()
        if cluster in (service["clusterArn"], service["clusterArn"].rsplit("/", 1)[-1])
        and service.get("capacityProviderStrategy")
        and service.get("status") == "ACTIVE"
    ]
    if services:
        raise RefusedError(f"ResourceInUseException: service {services[0]} uses the capacity providers")
    if cluster in ecs._clusters:
        ecs._put_cluster_capacity_providers({"cluster": cluster, "capacityProviders": []})


def create_group(name: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    """Create an Auto Scaling group, and keep which instance types it may start."""
    created: tuple[str, dict[str, Any]] = stock._asg_create(name, dict(properties), stack)
    autoscaling._asgs[created[0]]["MixedInstancesPolicy"] = properties.get("MixedInstancesPolicy", {})
    return created


def delete_group(name: str, properties: Properties) -> None:
    """Delete an Auto Scaling group, which hangs while an instance is protected from scale-in.

    CloudFormation lowers the group to zero and waits; a protected instance stays (containers-roadmap#2862).
    With ``ForceDelete``, or where ECS has lifted the protection, it ends.
    """
    group = autoscaling._asgs.get(name, {"Instances": []})
    protected = [record["InstanceId"] for record in group["Instances"] if record["ProtectedFromScaleIn"]]
    if protected:
        raise RefusedError(f"Group did not stabilize: {protected[0]} is protected from scale-in")
    stock._asg_delete(name, properties)


def update_group(params: Mapping[str, str]) -> tuple[int, Any, bytes]:
    """Answer UpdateAutoScalingGroup: a scale-in leaves protected instances alone."""
    group = autoscaling._asgs.get(params.get("AutoScalingGroupName"), {"Instances": []})
    protected = [record for record in group["Instances"] if record["ProtectedFromScaleIn"]]
    response: tuple[int, Any, bytes] = _stock_update_group(params)
    if params.get("NewInstancesProtectedFromScaleIn"):
        group["NewInstancesProtectedFromScaleIn"] = params["NewInstancesProtectedFromScaleIn"] == "true"
    group["Instances"] += [record for record in protected if record not in group["Instances"]]
    return response


def set_protection(params: Mapping[str, str]) -> tuple[int, Any, bytes]:
    """Answer SetInstanceProtection; an instance that the group no longer wants ends without it."""
    group = autoscaling._asgs[params["AutoScalingGroupName"]]
    identifiers = autoscaling._parse_member_list(params, "InstanceIds")
    for record in group["Instances"]:
        if record["InstanceId"] in identifiers:
            record["ProtectedFromScaleIn"] = params["ProtectedFromScaleIn"] == "true"
    kept = [record for record in group["Instances"] if record["ProtectedFromScaleIn"]]
    others = [record for record in group["Instances"] if not record["ProtectedFromScaleIn"]]
    group["Instances"] = kept + others[: max(0, group["DesiredCapacity"] - len(kept))]
    response: tuple[int, Any, bytes] = autoscaling._xml(
        200, "SetInstanceProtectionResponse", "<SetInstanceProtectionResult/>"
    )
    return response


_stock_update_group = autoscaling._update_asg
#: Actions of Auto Scaling's API that ministack lacks, or answers too kindly.
ACTIONS = {"UpdateAutoScalingGroup": update_group, "SetInstanceProtection": set_protection}
HANDLERS = {
    "AWS::ECS::CapacityProvider": {"create": create_provider, "delete": delete_provider},
    "AWS::ECS::ClusterCapacityProviderAssociations": {
        "create": create_associations,
        "delete": delete_associations,
    },
}
OVERRIDES = {"AWS::AutoScaling::AutoScalingGroup": {"create": create_group, "delete": delete_group}}
