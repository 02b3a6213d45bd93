"""ECS services, which on AWS wait until their tasks run, and buckets, which are deleted when they are empty.

Not proven here: that a container starts, passes its health check and gets its secrets; placement over zones.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core.responses import get_region
from ministack.services import autoscaling, ec2, ecr, ecs, s3
from ministack.services.cloudformation import provisioners as stock

from ..refusals import RefusedError
from .instance_types import capacity

Properties = Mapping[str, Any]


def create_service(name: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    """Create a service, which on AWS never becomes stable where its image is absent."""
    definition = _definition(properties)
    _require_images(definition, properties)
    _require_room(definition, properties)
    count = int(properties.get("DesiredCount", 1))
    created: tuple[str, dict[str, Any]] = stock._ecs_service_create(
        name, {**properties, "DesiredCount": count}, stack
    )
    for group in _groups(properties):
        _start_hosts(group, count)
    return created


def update_service(service: str, old: Properties, new: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    """Update a service; CloudFormation sends the desired count that a template has along with any change.

    What scaling has set since is lost (containers-roadmap#493); a template without a count keeps it.
    """
    definition = _definition(new)
    _require_images(definition, new)
    _require_room(definition, new)
    if "DesiredCount" in new:
        # ministack sends what differs from the old template alone.
        old = {**old, "DesiredCount": None}
        new = {**new, "DesiredCount": int(new["DesiredCount"])}
    updated: tuple[str, dict[str, Any]] = stock._ecs_service_update(service, dict(old), dict(new), stack)
    return updated


def _definition(properties: Properties) -> Mapping[str, Any]:
    key = str(properties["TaskDefinition"]).rsplit("/", 1)[-1]
    definition: Mapping[str, Any] = ecs._task_defs.get(key, {})
    return definition


def _groups(properties: Properties) -> Iterator[dict[str, Any]]:
    """Yield the Auto Scaling groups whose instances take a service's tasks."""
    for strategy in properties.get("CapacityProviderStrategy", []):
        provider = ecs._capacity_providers.get(strategy["CapacityProvider"], {})
        arn = provider.get("autoScalingGroupProvider", {}).get("autoScalingGroupArn", "")
        for name, group in autoscaling._asgs.items():
            if arn in (name, group["AutoScalingGroupARN"]):
                yield group


def _start_hosts(group: dict[str, Any], count: int) -> None:
    """Give a group an instance for each ECS task."""
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


def _require_room(definition: Mapping[str, Any], properties: Properties) -> None:
    """Refuse a task that none of its instances could ever hold: its service would not become stable."""
    cpu, memory = int(definition.get("cpu") or 0), int(definition.get("memory") or 0)
    for group in _groups(properties):
        for instance_type in _instance_types(group):
            offered = capacity(instance_type)
            if offered and (cpu > offered[0] or memory > offered[1]):
                raise RefusedError(
                    "was unable to place a task because no container instance met all of its requirements: "
                    f"{instance_type} offers {offered[0]} CPU units and {offered[1]} MiB, the task wants "
                    f"{cpu} and {memory}"
                )


def _instance_types(group: Mapping[str, Any]) -> Iterator[str]:
    mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    names = [
        override["InstanceType"] for override in mixed.get("Overrides", []) if "InstanceType" in override
    ]
    template = mixed.get("LaunchTemplateSpecification") or group.get("LaunchTemplate") or {}
    if names:
        yield from names
        return
    for version in ec2._launch_templates.get(template.get("LaunchTemplateId"), {}).get("Versions", [])[-1:]:
        yield from filter(None, [version["LaunchTemplateData"].get("InstanceType")])


def _require_images(definition: Mapping[str, Any], properties: Properties) -> None:
    for container in definition.get("containerDefinitions", []):
        _require_image(container["image"], properties)


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


def delete_bucket(name: str, properties: Properties) -> None:
    """Delete a bucket; refused while it holds an object."""
    if s3._buckets.get(name, {}).get("objects"):
        raise RefusedError(f"BucketNotEmpty: the bucket you tried to delete is not empty: {name}")
    stock._s3_delete(name, dict(properties))


OVERRIDES = {
    "AWS::ECS::Service": {"create": create_service, "update": update_service},
    "AWS::S3::Bucket": {"delete": delete_bucket},
}
