"""Everything that an account has, by service and Region: to compare before and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from testing.deployment.emulator import Emulator

__all__ = ["inventory"]

#: Service, operation, list in its answer, and member that names a record; a record may be a name itself.
_REGIONAL = [
    ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
    ("apigatewayv2", "get_apis", "Items", "ApiId"),
    ("cloudformation", "list_stacks", "StackSummaries", "StackName"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("ec2", "describe_addresses", "Addresses", "AllocationId"),
    ("ec2", "describe_instances", "Reservations", "Instances"),
    ("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"),
    ("ec2", "describe_managed_prefix_lists", "PrefixLists", "PrefixListName"),
    ("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    (
        "ec2",
        "describe_transit_gateway_attachments",
        "TransitGatewayAttachments",
        "TransitGatewayAttachmentId",
    ),
    ("ec2", "describe_transit_gateways", "TransitGateways", "TransitGatewayId"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("ec2", "describe_vpc_peering_connections", "VpcPeeringConnections", "VpcPeeringConnectionId"),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("ecs", "list_clusters", "clusterArns", ""),
    ("ecs", "describe_capacity_providers", "capacityProviders", "name"),
    ("efs", "describe_file_systems", "FileSystems", "FileSystemId"),
    ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
    ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupName"),
    ("events", "list_event_buses", "EventBuses", "Name"),
    ("events", "list_rules", "Rules", "Name"),
    ("kms", "list_aliases", "Aliases", "AliasName"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("lambda", "list_layers", "Layers", "LayerName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("opensearch", "list_domain_names", "DomainNames", "DomainName"),
    ("secretsmanager", "list_secrets", "SecretList", "Name"),
    ("servicediscovery", "list_namespaces", "Namespaces", "Name"),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sqs", "list_queues", "QueueUrls", ""),
    ("ssm", "describe_parameters", "Parameters", "Name"),
    ("stepfunctions", "list_state_machines", "stateMachines", "name"),
]
_GLOBAL = [
    ("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("route53", "list_hosted_zones", "HostedZones", "Name"),
    ("s3", "list_buckets", "Buckets", "Name"),
]
#: States in which AWS still shows what is gone, for an hour or less.
_GONE = ("deleted", "terminated", "DELETE_COMPLETE", "INACTIVE", "rejected", "failed")


def inventory(account: Emulator, regions: Iterable[str]) -> set[str]:
    """Return a name for each thing that an account has in these Regions, or in none."""
    looks = [(region, *record) for region in regions for record in _REGIONAL]
    looks += [("us-east-1", *record) for record in _GLOBAL]
    with ThreadPoolExecutor(max_workers=8) as pool:
        names = pool.map(lambda look: set(_names(account, *look)), looks)
        keys = pool.map(lambda region: set(_keys(account, region)), regions)
        return set().union(*names, *keys)


def _names(
    account: Emulator, region: str, service: str, operation: str, member: str, name: str
) -> Iterator[str]:
    client = account.client(service, region)
    if client.can_paginate(operation):
        records = [
            record for page in client.get_paginator(operation).paginate() for record in page.get(member, [])
        ]
    else:
        records = getattr(client, operation)().get(member, [])
    for record in records:
        if not any(f"'{state}'" in str(_state(record)) for state in _GONE):
            yield f"{region} {service} {operation}: {record[name] if name else record}"


def _state(record: Any) -> Any:
    """Return a record's members that say in which state it is."""
    if not isinstance(record, dict):
        return ()
    if "Instances" in record:
        return [_state(instance) for instance in record["Instances"]]
    return [record.get(key) for key in ("State", "Status", "StackStatus", "status", "state")]


def _keys(account: Emulator, region: str) -> Iterator[str]:
    """Yield KMS keys, but those that wait for their deletion: seven days at least, at no cost."""
    kms = account.client("kms", region)
    for record in kms.list_keys()["Keys"]:
        state = kms.describe_key(KeyId=record["KeyId"])["KeyMetadata"]["KeyState"]
        if state != "PendingDeletion":
            yield f"{region} kms key: {record['KeyId']}"
