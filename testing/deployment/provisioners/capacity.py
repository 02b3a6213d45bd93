"""ECS capacity providers, and what ECS and Auto Scaling refuse.

Not proven here: that an instance starts, joins the cluster or is large enough for a task.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_region
from ministack.services import autoscaling, ecr, ecs, iam
from ministack.services.cloudformation import provisioners as stock

from .refusals import RefusedError

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


def create_service(name: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    """Create a service, which on AWS never becomes stable where its image is absent."""
    definition = ecs._task_defs.get(str(properties["TaskDefinition"]).rsplit("/", 1)[-1], {})
    for container in definition.get("containerDefinitions", []):
        _require_image(container["image"], properties)
    count = int(properties.get("DesiredCount", 1))
    created: tuple[str, dict[str, Any]] = stock._ecs_service_create(
        name, {**properties, "DesiredCount": count}, stack
    )
    for strategy in properties.get("CapacityProviderStrategy", []):
        _start_hosts(ecs._capacity_providers.get(strategy["CapacityProvider"], {}), count)
    return created


def _start_hosts(provider: Mapping[str, Any], count: int) -> None:
    """Give the provider's Auto Scaling group an instance for each ECS task."""
    arn = provider.get("autoScalingGroupProvider", {}).get("autoScalingGroupArn", "")
    for name, group in autoscaling._asgs.items():
        if arn in (name, group["AutoScalingGroupARN"]):
            group["Instances"] += [
                {
                    "InstanceId": f"i-{secrets.token_hex(9)[:17]}",
                    "LifecycleState": "InService",
                    "HealthStatus": "Healthy",
                    "AvailabilityZone": f"{get_region()}a",
                    "LaunchConfigurationName": "",
                    "ProtectedFromScaleIn": group["NewInstancesProtectedFromScaleIn"],
                }
                for _ in range(count)
            ]


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


def _require_image(image: str, properties: Properties) -> None:
    registry, _, path = image.partition("/")
    if ".dkr.ecr." not in registry:
        return
    repository, _, tag = path.partition(":")
    tags = {
        tag
        for record in ecr._images.get(repository, [])
        for tag in record.get("imageTags", [record.get("imageTag")])
    }
    if tag not in tags:
        deployment = properties.get("DeploymentConfiguration", {})
        breaker = deployment.get("DeploymentCircuitBreaker", {})
        raise RefusedError(
            f"CannotPullContainerError: {image} not found; "
            + ("ECS Deployment Circuit Breaker was triggered" if breaker else "gave up after 3 hours")
        )


def create_domain(name: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    """Create an OpenSearch domain, which in a VPC wants its service-linked role."""
    service = "opensearchservice.amazonaws.com"
    if properties.get("VPCOptions") and not any(service in role["Path"] for role in iam._roles.values()):
        raise RefusedError(
            "ValidationException: Before you can proceed, you must enable a service-linked role to give "
            f"Amazon OpenSearch Service permissions to access your VPC ({service})"
        )
    created: tuple[str, dict[str, Any]] = stock._opensearch_domain_create(name, dict(properties), stack)
    return created


HANDLERS = {
    "AWS::ECS::CapacityProvider": {"create": create_provider, "delete": delete_provider},
    "AWS::ECS::ClusterCapacityProviderAssociations": {
        "create": create_associations,
        "delete": delete_associations,
    },
}
#: Resource types that ministack has, and creates though something they need is missing.
CREATIONS = {"AWS::ECS::Service": create_service, "AWS::OpenSearchService::Domain": create_domain}
DELETIONS = {"AWS::AutoScaling::AutoScalingGroup": delete_group}
