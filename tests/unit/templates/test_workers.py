"""The pool's template: what an update keeps, and what a deployment that cannot succeed does."""

from __future__ import annotations

import math

import pytest

from dask_regions import names
from testing.templates import template

WORKERS = template("regional_stack/workers.yaml")
REGIONAL = template("regional_stack/template.yaml")
SERVICE = WORKERS["Resources"]["Service"]["Properties"]
DEPLOYMENT = SERVICE["DeploymentConfiguration"]


def test_an_update_does_not_set_the_desired_count() -> None:
    assert "DesiredCount" not in SERVICE


def test_a_deployment_whose_tasks_never_start_is_rolled_back() -> None:
    assert DEPLOYMENT["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def hosts_at_most(maximum_tasks: int) -> int:
    condition, single, several = WORKERS["Resources"]["HostGroup"]["Properties"]["MaxSize"]["Fn::If"]
    assert WORKERS["Conditions"][condition] == {"Fn::Equals": [{"Ref": "MaximumTasks"}, 1]}
    assert several == {"Ref": "MaximumTasks"}
    return int(single) if maximum_tasks == 1 else maximum_tasks


@pytest.mark.parametrize("maximum_tasks", [1, 2, 3, 7, 1000])
def test_a_pool_of_any_size_can_be_deployed_one_ecs_task_on_each_host(maximum_tasks: int) -> None:
    """ECS rounds the least number of healthy tasks up, and the greatest number of tasks down."""
    for desired in {1, 2, maximum_tasks // 2, maximum_tasks} - {0}:
        least = math.ceil(desired * DEPLOYMENT["MinimumHealthyPercent"] / 100)
        most = math.floor(desired * DEPLOYMENT["MaximumPercent"] / 100)
        starts_one = min(most, hosts_at_most(maximum_tasks)) > desired
        stops_one = least < desired
        assert starts_one or stops_one, "the deployment never begins"
        assert least >= 1, "nobody stays to take the results over"


def test_ecs_does_not_stop_workers_for_balance() -> None:
    assert SERVICE["AvailabilityZoneRebalancing"] == "DISABLED"


#: GiB of memory per vCPU of each family, and vCPUs of each size: "Amazon EC2 instance types".
GIB_PER_VCPU = {"m6i": 4, "m6id": 4, "r6i": 8, "r6id": 8, "m7g": 4, "m7gd": 4, "r7g": 8, "r7gd": 8}
VCPUS = {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32}
#: Fraction of its memory that an instance registers with ECS at least ("Container instance memory").
REGISTERED_FRACTION = 0.94
TYPES = WORKERS["Parameters"]["InstanceType"]["AllowedValues"]


@pytest.mark.parametrize("instance_type", TYPES)
def test_one_ecs_task_fits_into_a_host_of_each_type_and_two_do_not(instance_type: str) -> None:
    family, size = instance_type.split(".")
    task = WORKERS["Mappings"]["InstanceTypes"][instance_type]
    units = VCPUS[size] * 1024
    assert units / 2 < int(task["Cpu"]) < units
    registered = VCPUS[size] * GIB_PER_VCPU[family] * 1024 * REGISTERED_FRACTION
    assert registered / 2 < int(task["Memory"]) < registered


def test_every_type_has_its_task_and_its_architecture() -> None:
    assert WORKERS["Mappings"]["InstanceTypes"].keys() == set(TYPES)
    assert REGIONAL["Parameters"]["InstanceType"]["AllowedValues"] == TYPES
    of_architecture = {}
    for rule in REGIONAL["Rules"].values():
        architecture = rule["RuleCondition"]["Fn::Equals"][1]
        (assertion,) = rule["Assertions"]
        of_architecture[architecture] = assertion["Assert"]["Fn::Contains"][0]
    assert of_architecture.keys() == set(REGIONAL["Parameters"]["Architecture"]["AllowedValues"])
    for architecture, types in of_architecture.items():
        # The letter after the generation's number says whose processors they are: g is Graviton.
        graviton = {each for each in TYPES if each.split(".")[0][2:3] == "g"}
        assert set(types) == (graviton if architecture == "arm64" else set(TYPES) - graviton)
    default = REGIONAL["Parameters"]["InstanceType"]["Default"]
    assert default in of_architecture[REGIONAL["Parameters"]["Architecture"]["Default"]]


def test_only_dask_s_ports_are_open_and_to_the_regions_only() -> None:
    rules = WORKERS["Resources"]["WorkersSecurityGroup"]["Properties"]["SecurityGroupIngress"]
    opened = {
        (
            rule["FromPort"],
            rule["ToPort"],
            *(rule.get(key, {}).get("Ref") for key in ("SourcePrefixListId", "CidrIp")),
        )
        for rule in rules
    }
    assert opened == {
        (*names.WORKER_PORTS, "PrefixListId", None),
        (*names.WORKER_PORTS, None, "ClientCidr"),
        (*names.NANNY_PORTS, None, "ClientCidr"),
    }


def test_workers_write_and_spill_somewhere() -> None:
    definition = WORKERS["Resources"]["TaskDefinition"]["Properties"]
    (container,) = definition["ContainerDefinitions"]
    environment = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
    assert environment["SCRATCH_BUCKET"] == {"Ref": "ScratchBucket"}
    mounts = {mount["ContainerPath"]: mount["ReadOnly"] for mount in container["MountPoints"]}
    assert mounts == {"/fsx": True, environment["DASK_TEMPORARY_DIRECTORY"]: False}
    assert {volume["Host"]["SourcePath"] for volume in definition["Volumes"]} == set(mounts)
    assert definition["TaskRoleArn"] == {"Fn::GetAtt": ["TaskRole", "Arn"]}
    assert {"DATASETS_FILE", "CLIENT_REGION"} & environment.keys() == {"CLIENT_REGION"}


def test_storage_and_hosts_are_in_one_zone_unless_told_otherwise() -> None:
    stacks = REGIONAL["Resources"]
    subnet = stacks["Storage"]["Properties"]["Parameters"]["SubnetId"]
    condition, everywhere, beside = stacks["Workers"]["Properties"]["Parameters"]["HostSubnetIds"]["Fn::If"]
    assert REGIONAL["Conditions"][condition] == {"Fn::Equals": [{"Ref": "WorkerZones"}, "all"]}
    assert beside == subnet
    assert everywhere == stacks["Workers"]["Properties"]["Parameters"]["SubnetIds"]
    assert WORKERS["Resources"]["HostGroup"]["Properties"]["VPCZoneIdentifier"] == {"Ref": "HostSubnetIds"}
    assert REGIONAL["Parameters"]["WorkerZones"]["Default"] == "storage"


def test_storage_throughput_serves_a_pool_by_default() -> None:
    assert REGIONAL["Parameters"]["StorageThroughput"]["Default"] >= 250
