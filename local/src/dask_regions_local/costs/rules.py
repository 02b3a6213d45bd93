"""What each type of resource is charged for, and how much of it a month takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dask_regions_local.costs.inventory import Deployed, Inventory

__all__ = ["FREE", "HOURS", "RULES", "Item", "Usage", "items"]

#: Hours of a month.
HOURS = 730.0


@dataclass(frozen=True)
class Usage:
    """A month with some computing, and what is assumed of every month.

    Attributes
    ----------
    load_hours
        Hours in which every pool is at its maximum.
    crossing_gb
        Leaves each Region for another at load.
    way_out_gb
        Takes the NAT in a month at rest, and at load.
    log_gb
        Of each log group, likewise.
    stored_gb
        In each bucket, likewise.
    catalog_gb, catalog_read_gb
        Of a catalog in files, and what requests read of it at load.
    image_gb
        Of each repository.
    requests
        To the API at load.
    function_gb_seconds
        Of all functions together, at rest (watching, joining, nightly syncs) and at load.
    insights_metrics
        That Container Insights makes of a cluster, at rest and at load.
    """

    load_hours: float = 160
    crossing_gb: float = 200
    way_out_gb: tuple[float, float] = (2, 50)
    log_gb: tuple[float, float] = (0.05, 0.5)
    stored_gb: tuple[float, float] = (1, 50)
    catalog_gb: float = 2
    catalog_read_gb: float = 50
    image_gb: float = 1
    requests: float = 100_000
    function_gb_seconds: tuple[float, float] = (20_000, 60_000)
    insights_metrics: tuple[float, float] = (8, 20)


@dataclass(frozen=True)
class Item:
    """A line of the bill: units of a price that a month takes, at rest and at load."""

    what: str
    price: str
    rest: float
    load: float


@dataclass(frozen=True)
class Context:
    """What a rule may look at besides its resource."""

    made: Inventory
    parameters: Mapping[str, str]
    regions: int
    usage: Usage

    def number(self, name: str, default: float = 0) -> float:
        """Return a parameter of the stack."""
        return float(self.parameters.get(name) or default)

    def referred(self, reference: Any) -> Mapping[str, Any]:
        """Return the properties of a resource that another refers to."""
        return self.made.resources[str(reference)].properties

    @property
    def scheduler_hours(self) -> tuple[float, float]:
        """Hours in which the scheduler runs: all of them, unless it is stopped when idle."""
        return (0, self.usage.load_hours) if self.number("SchedulerIdleMinutes") else (HOURS, HOURS)

    @property
    def pool_hours(self) -> tuple[float, float]:
        """Hours of ECS tasks of the pool: its minimum, and its maximum in the hours of load."""
        least, most, busy = self.number("MinimumTasks"), self.number("MaximumTasks"), self.usage.load_hours
        return least * HOURS, least * (HOURS - busy) + most * busy


Rule: TypeAlias = Callable[[Deployed, Context], Iterator[Item]]


def _flat(what: str, price: str, units: float) -> Rule:
    def rule(_: Deployed, __: Context) -> Iterator[Item]:
        yield Item(what, price, units, units)

    return rule


def _nat_gateway(_: Deployed, context: Context) -> Iterator[Item]:
    yield Item("NAT gateway", "nat-gateway-hour", HOURS, HOURS)
    yield Item("data through the NAT gateway", "nat-gateway-gb", *context.usage.way_out_gb)


def _instance(resource: Deployed, context: Context) -> Iterator[Item]:
    template = context.referred(resource.properties["LaunchTemplate"]["LaunchTemplateId"])
    yield from _machine("NAT instance", template["LaunchTemplateData"], (HOURS, HOURS))
    yield Item("public IPv4 address", "public-ipv4-hour", HOURS, HOURS)


def _hosts(resource: Deployed, context: Context) -> Iterator[Item]:
    template = context.referred(resource.properties["LaunchTemplate"]["LaunchTemplateId"])
    yield from _machine("hosts of the pool", template["LaunchTemplateData"], context.pool_hours)
    yield Item("data sent to other Regions", "region-transfer-gb", 0, context.usage.crossing_gb)
    # The scheduler publishes three metrics of each pool, and charges are by the hour.
    rest, load = context.scheduler_hours
    yield Item("metrics of the pool", "metric-month", 3 * rest / HOURS, 3 * load / HOURS)
    requests = 3.6 / context.number("PublishSeconds", 10)
    yield Item("requests that publish them", "metric-request-thousand", requests * rest, requests * load)


def _machine(what: str, template: Mapping[str, Any], hours: tuple[float, float]) -> Iterator[Item]:
    yield Item(f"{what}, {template['InstanceType']}", f"ec2-{template['InstanceType']}-hour", *hours)
    size = sum(float(each["Ebs"]["VolumeSize"]) for each in template.get("BlockDeviceMappings", ()))
    yield Item(f"volume of the {what}", "ebs-gp3-gb", *(size * part / HOURS for part in hours))


def _transit_gateway(_: Deployed, context: Context) -> Iterator[Item]:
    # Each Region pays for its side of a peering; join_regions makes one with every other Region.
    others = (context.regions - 1) * HOURS
    yield Item("peering attachments", "transit-gateway-attachment-hour", others, others)
    yield Item("data through the Transit Gateway", "transit-gateway-gb", 0, context.usage.crossing_gb)


def _service(resource: Deployed, context: Context) -> Iterator[Item]:
    definition = context.referred(resource.properties["TaskDefinition"])
    if "FARGATE" not in definition["RequiresCompatibilities"]:
        return  # its hosts are charged
    hours = context.scheduler_hours
    what = "scheduler"
    if "workers" in str(definition["Family"]):
        what = "pool on Fargate"
        hours = (0, context.number("ClientPoolMaximumTasks") * context.usage.load_hours)
    cpus, gb = float(definition["Cpu"]) / 1024, float(definition["Memory"]) / 1024
    yield Item(f"{what}, vCPU", "fargate-cpu-hour", *(cpus * part for part in hours))
    yield Item(f"{what}, memory", "fargate-gb-hour", *(gb * part for part in hours))


def _cluster(resource: Deployed, context: Context) -> Iterator[Item]:
    settings = {each["Name"]: each["Value"] for each in resource.properties.get("ClusterSettings", ())}
    if settings.get("containerInsights", "disabled") != "disabled":
        yield Item("Container Insights", "metric-month", *context.usage.insights_metrics)


def _file_system(resource: Deployed, _: Context) -> Iterator[Item]:
    size = float(resource.properties["StorageCapacity"])
    throughput = resource.properties["LustreConfiguration"]["PerUnitStorageThroughput"]
    yield Item(f"FSx for Lustre, {throughput} MB/s per TiB", f"fsx-{throughput}-gb", size, size)


def _domain(resource: Deployed, _: Context) -> Iterator[Item]:
    cluster, disks = resource.properties["ClusterConfig"], resource.properties["EBSOptions"]
    nodes, kind = float(cluster["InstanceCount"]), cluster["InstanceType"]
    yield Item(f"OpenSearch, {kind}", f"opensearch-{kind}-hour", nodes * HOURS, nodes * HOURS)
    size = nodes * float(disks["VolumeSize"])
    yield Item("volumes of OpenSearch", "opensearch-gp3-gb", size, size)


def _efs(_: Deployed, context: Context) -> Iterator[Item]:
    size = context.usage.catalog_gb
    yield Item("catalog in files", "efs-gb", size, size)
    yield Item("reads of the catalog", "efs-read-gb", 0, context.usage.catalog_read_gb)


def _notebook(resource: Deployed, context: Context) -> Iterator[Item]:
    kind = resource.properties["InstanceType"]
    yield Item(f"notebook, {kind}", f"notebook-{kind}-hour", 0, context.usage.load_hours)
    size = float(resource.properties.get("VolumeSizeInGB", 5))
    yield Item("volume of the notebook", "notebook-volume-gb", size, size)


def _alarm(resource: Deployed, _: Context) -> Iterator[Item]:
    metrics = [each for each in resource.properties.get("Metrics", ()) if "MetricStat" in each]
    fine = float(resource.properties.get("Period", 60)) < 60
    count = float(len(metrics) or 1)
    if fine:
        yield Item("alarms at high resolution", "alarm-high-resolution-month", count, count)
    else:
        yield Item("alarms", "alarm-month", count, count)


def _logs(_: Deployed, context: Context) -> Iterator[Item]:
    yield Item("logs", "log-gb", *context.usage.log_gb)


def _bucket(_: Deployed, context: Context) -> Iterator[Item]:
    yield Item("buckets", "s3-gb", *context.usage.stored_gb)


def _flow_log(_: Deployed, context: Context) -> Iterator[Item]:
    yield Item("flow logs", "flow-log-gb", *context.usage.log_gb)


def _repository(_: Deployed, context: Context) -> Iterator[Item]:
    yield Item("images", "image-gb", context.usage.image_gb, context.usage.image_gb)


def _api(_: Deployed, context: Context) -> Iterator[Item]:
    yield Item("requests to the API", "api-million", 0, context.usage.requests / 1e6)
    yield Item("functions", "lambda-gb-second", *context.usage.function_gb_seconds)


#: Type of resource to its rule.
RULES: Mapping[str, Rule] = {
    "AWS::ApiGatewayV2::Api": _api,
    "AWS::AutoScaling::AutoScalingGroup": _hosts,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _flat("dashboard", "dashboard-month", 1),
    "AWS::EC2::EIP": _flat("public IPv4 address", "public-ipv4-hour", HOURS),
    "AWS::EC2::FlowLog": _flow_log,
    "AWS::EC2::Instance": _instance,
    "AWS::EC2::NatGateway": _nat_gateway,
    "AWS::EC2::TransitGateway": _transit_gateway,
    "AWS::EC2::TransitGatewayAttachment": _flat(
        "attachment of the VPC", "transit-gateway-attachment-hour", HOURS
    ),
    "AWS::ECR::Repository": _repository,
    "AWS::ECS::Cluster": _cluster,
    "AWS::ECS::Service": _service,
    "AWS::EFS::FileSystem": _efs,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _flat("load balancer", "load-balancer-hour", HOURS),
    "AWS::FSx::FileSystem": _file_system,
    "AWS::KMS::Key": _flat("key", "key-month", 1),
    "AWS::Logs::LogGroup": _logs,
    "AWS::OpenSearchService::Domain": _domain,
    "AWS::S3::Bucket": _bucket,
    "AWS::SageMaker::NotebookInstance": _notebook,
    "AWS::SecretsManager::Secret": _flat("secret", "secret-month", 1),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": _flat("private DNS zone", "hosted-zone-month", 1),
}

#: Types that cost nothing, or are counted with another: functions with the API; queues, topics, rules and
#: executions of state machines stay below a cent at this use; gateway endpoints and peerings are free.
FREE = frozenset(
    f"AWS::{name}"
    for name in (
        "ApiGatewayV2::Authorizer",
        "ApiGatewayV2::Stage",
        "Budgets::Budget",
        "CloudFormation::Stack",
        "CodeBuild::Project",
        "EC2::InternetGateway",
        "EC2::LaunchTemplate",
        "EC2::PrefixList",
        "EC2::Route",
        "EC2::RouteTable",
        "EC2::SecurityGroup",
        "EC2::SecurityGroupEgress",
        "EC2::SecurityGroupIngress",
        "EC2::Subnet",
        "EC2::SubnetRouteTableAssociation",
        "EC2::VPC",
        "EC2::VPCEndpoint",
        "EC2::VPCGatewayAttachment",
        "ECS::CapacityProvider",
        "ECS::ClusterCapacityProviderAssociations",
        "ECS::TaskDefinition",
        "EFS::AccessPoint",
        "EFS::MountTarget",
        "ElasticLoadBalancingV2::Listener",
        "ElasticLoadBalancingV2::TargetGroup",
        "Events::EventBus",
        "Events::Rule",
        "FSx::DataRepositoryAssociation",
        "IAM::InstanceProfile",
        "IAM::ManagedPolicy",
        "IAM::Policy",
        "IAM::Role",
        "KMS::Alias",
        "Lambda::Function",
        "Lambda::LayerVersion",
        "Lambda::Permission",
        "Logs::QueryDefinition",
        "Logs::ResourcePolicy",
        "S3::BucketPolicy",
        "SNS::Subscription",
        "SNS::Topic",
        "SNS::TopicPolicy",
        "SQS::Queue",
        "SQS::QueuePolicy",
        "SSM::Parameter",
        "SageMaker::NotebookInstanceLifecycleConfig",
        "ServiceDiscovery::Service",
        "StepFunctions::StateMachine",
    )
)


def items(
    made: Inventory, parameters: Mapping[str, str], regions: int, usage: Usage | None = None
) -> list[Item]:
    """Return the lines of the bill of one stack, equal ones added up.

    Parameters
    ----------
    made
        Its resources.
    parameters
        By name: the stack's, ``MinimumTasks`` of the pool, and the client's ``SchedulerIdleMinutes``.
    regions
        How many Regions the system has.
    usage
        What is assumed of the months.
    """
    context = Context(made, parameters, regions, usage or Usage())
    lines: dict[tuple[str, str], Item] = {}
    for resource in made.resources.values():
        for item in RULES.get(resource.kind, _nothing)(resource, context):
            sum_ = lines.get((item.what, item.price), Item(item.what, item.price, 0, 0))
            lines[item.what, item.price] = Item(
                item.what, item.price, sum_.rest + item.rest, sum_.load + item.load
            )
    return list(lines.values())


def _nothing(_: Deployed, __: Context) -> Iterator[Item]:
    return iter(())
