"""The templates of commit 8d2c432 fail a stranger in the ways that README.md lists, each for its reason.

The tests run in the order of the file: one system is deployed, looked at, changed and deleted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.deployment import emulator, reachability, releases
from testing.deployment.emulator import Emulator
from testing.deployment.prerequisites import give_images, give_service_linked_role, path_with_uv

pytestmark = [pytest.mark.deployment, pytest.mark.xdist_group("8d2c432")]

COMMIT = "8d2c432"
SYSTEM = "dask-regions"
CLIENT, WORKER, OTHER_WORKER = "eu-west-2", "us-west-2", "us-east-1"
WORKER_STACK = "dask-regions-worker"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of that commit."""
    try:
        return releases.extract(COMMIT, tmp_path_factory.mktemp(COMMIT))
    except releases.MissingHistoryError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An account in which nobody has done anything."""
    with emulator.running(tmp_path_factory.mktemp("fresh")) as account:
        yield account


@pytest.fixture(scope="module")
def built(release: Path, fresh: Emulator) -> Path:
    """The release after ``sam build`` with ``uv`` on the PATH."""
    result = fresh.sam(release, "build", path=path_with_uv())
    assert result.returncode == 0, result.stdout
    return release


@pytest.fixture(scope="module")
def system(built: Path, fresh: Emulator) -> Emulator:
    """The account with three Regions deployed, after somebody did by hand what the README does not say."""
    for region, stack in ((CLIENT, SYSTEM), (WORKER, WORKER_STACK)):
        if stack in {record["StackName"] for record in stacks(fresh, region)}:
            fresh.delete(region, stack)
    give_service_linked_role(fresh)
    give_images(fresh, SYSTEM, (CLIENT, WORKER, OTHER_WORKER), ("0.1.0", "0.2.0"))
    for environment in ("client", WORKER, OTHER_WORKER):
        result = deploy(fresh, built, environment)
        assert result.returncode == 0, result.stdout
    return fresh


@pytest.fixture(scope="module")
def facts(system: Emulator) -> dict[str, Any]:
    return reachability.read(system, (CLIENT, WORKER, OTHER_WORKER), SYSTEM)


def stacks(account: Emulator, region: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = account.client("cloudformation", region).describe_stacks()["Stacks"]
    return records


def deploy(account: Emulator, release: Path, environment: str, **parameters: str) -> Any:
    """Deploy an environment of samconfig.toml, with some parameters changed."""
    configuration = tomllib.loads((release / "samconfig.toml").read_text())
    given = configuration[environment]["deploy"]["parameters"]["parameter_overrides"]
    changes = [f"{name}={text}" for name, text in parameters.items()]
    return account.sam(
        release,
        "deploy",
        "--config-env",
        environment,
        "--no-confirm-changeset",
        "--parameter-overrides",
        *given,
        *changes,
    )


def template(release: Path, name: str) -> Any:
    """Return a template; a tag such as ``!Ref`` is dropped, and what it is of stays."""

    class Loader(yaml.SafeLoader):
        pass

    def without_tag(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return node.value

    Loader.add_multi_constructor("!", without_tag)
    return yaml.load((release / name).read_text(), Loader)


def pool_task(account: Emulator) -> dict[str, Any]:
    ecs = account.client("ecs", WORKER)
    definition: dict[str, Any] = ecs.describe_task_definition(taskDefinition=f"{SYSTEM}-workers")
    return definition["taskDefinition"]  # type: ignore[no-any-return]


def desired_count(account: Emulator) -> int:
    [service] = account.client("ecs", WORKER).describe_services(
        cluster=SYSTEM, services=[f"{SYSTEM}-workers"]
    )["services"]
    return int(service["desiredCount"])


def test_f1_sam_build_does_not_find_uv(release: Path, fresh: Emulator) -> None:
    result = fresh.sam(release, "build", path="/usr/bin:/bin")
    assert result.returncode != 0
    assert "uv: not found" in result.stdout


def test_f2_the_catalog_wants_a_service_linked_role(built: Path, fresh: Emulator) -> None:
    result = deploy(fresh, built, "client")
    assert result.returncode != 0
    assert "service-linked role" in fresh.reasons(CLIENT, SYSTEM)


def test_f3_and_f4_the_pool_waits_three_hours_for_an_image(built: Path, fresh: Emulator) -> None:
    result = deploy(fresh, built, WORKER)
    assert result.returncode != 0
    reasons = fresh.reasons(WORKER, WORKER_STACK)
    assert "CannotPullContainerError" in reasons
    assert "gave up after 3 hours" in reasons
    assert "Circuit Breaker" not in reasons
    # CloudFormation deletes again all that it had made, the file system too.
    status = {
        stack["StackName"]: stack["StackStatus"]
        for stack in stacks(fresh, WORKER)
        if stack["StackName"].startswith(WORKER_STACK)
    }
    assert status.pop(WORKER_STACK) == "ROLLBACK_COMPLETE"
    assert set(status.values()) <= {"DELETE_COMPLETE"}


def test_a_stack_that_was_rolled_back_cannot_be_deployed_again(built: Path, fresh: Emulator) -> None:
    result = deploy(fresh, built, WORKER)
    assert result.returncode != 0
    assert "is in ROLLBACK_COMPLETE state and can not be updated" in result.stdout


def test_f7_no_route_leads_from_a_worker_to_the_scheduler(facts: dict[str, Any]) -> None:
    reasons = "\n".join(reachability.violations(facts))
    for region in (WORKER, OTHER_WORKER):
        assert f"workers of {region} cannot reach scheduler of {CLIENT} on 8786" in reasons
    assert f"workers of {WORKER} cannot reach workers of {OTHER_WORKER}" in reasons


def test_f8_the_name_of_the_scheduler_does_not_resolve_in_a_worker_region(facts: dict[str, Any]) -> None:
    unresolved = [text for text in reachability.violations(facts) if "does not resolve" in text]
    assert [text.partition(":")[0].rpartition(" ")[2] for text in unresolved] == [WORKER, OTHER_WORKER]


def test_f16_dasks_ports_are_open_to_all_of_10(facts: dict[str, Any]) -> None:
    reasons = "\n".join(reachability.violations(facts))
    assert "opens (8786, 8787) to 10.0.0.0/8, which is no Region's" in reasons
    assert "opens (1024, 65535) to 10.0.0.0/8, which is no Region's" in reasons


def test_f9_a_second_bucket_of_a_region_is_accepted_and_cannot_be_deployed(release: Path) -> None:
    configuration = yaml.safe_load((release / "datasets.yaml").read_text())
    first = next(dataset for dataset in configuration["datasets"] if dataset["region"] == WORKER)
    second = {**first, "id": "second", "bucket": "second-bucket", "fsx_path": "/fsx/second-bucket/CMIP6"}
    configuration["datasets"].append(second)
    path = release / "two-buckets.yaml"
    path.write_text(yaml.safe_dump(configuration))
    program = "import sys; from dask_regions.cli import main; sys.exit(main(['check', sys.argv[1]]))"
    command = [sys.executable, "-c", program, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(release / "layers/dask_regions/src")}
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    associations = [
        resource
        for resource in template(release, "regional_stack/storage.yaml")["Resources"].values()
        if resource["Type"] == "AWS::FSx::DataRepositoryAssociation"
    ]
    assert len(associations) == 1


def test_f11_metrics_and_alarms_do_not_name_the_system(system: Emulator) -> None:
    alarms = system.client("cloudwatch", WORKER).describe_alarms(AlarmNamePrefix=SYSTEM)["MetricAlarms"]
    dimensions = [{record["Name"]: record["Value"] for record in alarm["Dimensions"]} for alarm in alarms]
    assert dimensions == [{"Region": WORKER}] * 2


def test_f12_the_default_address_names_another_system(release: Path) -> None:
    parameters = template(release, "regional_stack/template.yaml")["Parameters"]
    assert parameters["SchedulerAddress"]["Default"] == "tcp://scheduler.dask-regions.internal:8786"


def test_f14_datasets_are_part_of_a_layer_and_of_the_images(built: Path) -> None:
    assert (built / ".aws-sam/build/DaskRegionsLayer/datasets.yaml").exists()
    assert "COPY datasets.yaml" in (built / "containers/Dockerfile").read_text()


def test_f15_and_f17_workers_can_take_the_hosts_role_and_cannot_write(system: Emulator) -> None:
    ec2 = system.client("ec2", WORKER)
    [launch_template] = ec2.describe_launch_templates()["LaunchTemplates"]
    [launch] = ec2.describe_launch_template_versions(
        LaunchTemplateId=launch_template["LaunchTemplateId"], Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    assert "ECS_AWSVPC_BLOCK_IMDS" not in str(launch["LaunchTemplateData"])
    task = pool_task(system)
    assert not task.get("taskRoleArn")
    [mount] = task["containerDefinitions"][0]["mountPoints"]
    assert mount["readOnly"]


def test_f6_another_tag_sets_the_pool_back_to_its_minimum(built: Path, system: Emulator) -> None:
    system.client("ecs", WORKER).update_service(cluster=SYSTEM, service=f"{SYSTEM}-workers", desiredCount=3)
    assert desired_count(system) == 3
    result = deploy(system, built, WORKER, ImageTag="0.2.0")
    assert result.returncode == 0, result.stdout
    assert desired_count(system) == 1


def test_f10_an_allowed_instance_type_holds_no_default_task(built: Path, system: Emulator) -> None:
    result = deploy(system, built, OTHER_WORKER, InstanceType="m6i.2xlarge", ImageTag="0.2.0")
    assert result.returncode != 0
    assert "no container instance met all of its requirements" in system.reasons(OTHER_WORKER, WORKER_STACK)


def test_f5_deleting_a_region_hangs_on_a_protected_host(system: Emulator) -> None:
    assert system.delete(OTHER_WORKER, WORKER_STACK) == "DELETE_FAILED"
    assert "is protected from scale-in" in system.reasons(OTHER_WORKER, WORKER_STACK)
