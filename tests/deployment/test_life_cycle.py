"""A system is brought up, changed and taken down by the README's commands, and nothing is left.

The tests of a class run in the order of the file: each begins with what the one before has left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from testing.deployment import emulator, reachability
from testing.deployment.clone import Operator
from testing.deployment.computing import MainJob
from testing.deployment.emulator import Emulator
from testing.deployment.inventory import inventory
from testing.deployment.namespaces import Namespaces, missing_here

pytestmark = pytest.mark.deployment

CLIENT, WEST, EAST = "eu-west-2", "us-west-2", "us-east-1"
REGIONS = (CLIENT, WEST, EAST)
SYSTEM = "tides"
BLOCKS = {CLIENT: "10.0.0.0/16", WEST: "10.1.0.0/16", EAST: "10.2.0.0/16"}
#: Resources that belong to the account and to no system: `sam`'s bucket, and roles that services share.
OF_THE_ACCOUNT = ("aws-sam-cli-managed-default", "AWSServiceRole")


@pytest.fixture(scope="class")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with emulator.running(tmp_path_factory.mktemp("account")) as account:
        yield Operator.with_clone(account, tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="class")
def empty(operator: Operator) -> set[str]:
    """What is in the account before."""
    return inventory(operator.account, REGIONS)


def region_block(region: str) -> dict[str, Any]:
    block: dict[str, Any] = {"name": region, "cidr": BLOCKS[region]}
    if region == CLIENT:
        return {**block, "client": True}
    return {**block, "pool": {"minimum_tasks": 1, "maximum_tasks": 3}}


def dataset(number: int, region: str) -> dict[str, Any]:
    return {
        "id": f"dataset-{number}",
        "title": f"Dataset {number}",
        "description": "Tides.",
        "license": "CC-BY-4.0",
        "region": region,
        "bucket": f"tides-{number}",
        "prefix": "CMIP6/",
        "layout": "cmip6",
        "fsx_path": f"/fsx/tides-{number}/CMIP6",
    }


def succeed(operator: Operator, *arguments: str) -> str:
    result = operator.type(*arguments)
    assert result.returncode == 0, result.stdout[-6000:]
    return result.stdout


def running(account: Emulator, *regions: str) -> dict[str, Any]:
    """Return what restarts if it changes: services with their task definitions, and functions' versions."""
    state: dict[str, Any] = {}
    for region in regions:
        ecs = account.client("ecs", region)
        for arn in ecs.list_services(cluster=SYSTEM)["serviceArns"]:
            [service] = ecs.describe_services(cluster=SYSTEM, services=[arn])["services"]
            state[arn] = (service["taskDefinition"], [each["id"] for each in service["deployments"]])
        pages = account.client("lambda", region).get_paginator("list_functions").paginate()
        for function in (function for page in pages for function in page["Functions"]):
            state[function["FunctionArn"]] = (function["CodeSha256"], function.get("Environment"))
    return state


def pool(account: Emulator, region: str) -> dict[str, Any]:
    [service] = account.client("ecs", region).describe_services(
        cluster=SYSTEM, services=[f"{SYSTEM}-workers"]
    )["services"]
    return dict(service)


def unreachable(account: Emulator, *regions: str) -> list[str]:
    return reachability.violations(reachability.read(account, regions, SYSTEM))


def unseen_mistakes(account: Emulator) -> list[str]:
    """Return the mistakes in what joins the Regions that the checker does not see.

    The client Region's block is opened twice, by the prefix list and by rules of its own: the loss of one of
    them loses nothing.
    """
    facts = reachability.read(account, REGIONS, SYSTEM)
    mistakes = list(reachability.mutations(facts))
    assert len(mistakes) > 20
    unseen = [name for name, mistaken in mistakes if not reachability.violations(mistaken)]
    return [name for name in unseen if BLOCKS[CLIENT] not in name]


def left(operator: Operator, empty: set[str]) -> list[str]:
    after = inventory(operator.account, REGIONS) - empty
    return sorted(name for name in after if not any(word in name for word in OF_THE_ACCOUNT))


@pytest.mark.xdist_group("life-cycle-standard")
class TestStandardSystemOverPeering:
    """A worker Region first; then all else, changes, and each Region's end by itself."""

    system: ClassVar = {"name": SYSTEM, "profile": "standard", "network": "peering"}

    def test_a_worker_region_comes_first(self, operator: Operator, empty: set[str]) -> None:
        assert not any(SYSTEM in name for name in empty)
        operator.configure(self.system, map(region_block, (CLIENT, WEST)), [dataset(1, WEST)])
        refused = operator.type("deploy", WEST, "--yes", "--build", "none")
        assert "no image tides-scheduler:0.1.0 and tides-worker:0.1.0" in refused.stdout
        operator.push(CLIENT, SYSTEM, "0.1.0", "0.2.0")
        said = succeed(operator, "deploy", WEST, "--yes", "--build", "none")
        assert f"the Regions are joined once {CLIENT} is deployed" in said

    def test_the_client_region_follows_and_joins(self, operator: Operator) -> None:
        said = succeed(operator, "deploy", "--yes", "--build", "none")
        assert "the Regions are joined" in said
        assert unreachable(operator.account, CLIENT, WEST) == []

    def test_a_dataset_of_another_bucket_restarts_nothing(self, operator: Operator) -> None:
        before = running(operator.account, CLIENT, WEST)
        operator.configure(
            self.system, map(region_block, (CLIENT, WEST)), [dataset(1, WEST), dataset(2, WEST)]
        )
        said = succeed(operator, "deploy", WEST, "--yes", "--build", "none")
        assert "datasets.yaml is published" in said
        after = running(operator.account, CLIENT, WEST)
        services = {key: state for key, state in before.items() if ":service/" in key}
        assert {key: after[key] for key in services} == services

    def test_deploying_again_changes_nothing(self, operator: Operator) -> None:
        before = running(operator.account, CLIENT, WEST)
        names = inventory(operator.account, REGIONS)
        succeed(operator, "deploy", "--yes", "--build", "none")
        assert running(operator.account, CLIENT, WEST) == before
        assert inventory(operator.account, REGIONS) == names

    def test_a_region_is_added_and_joined(self, operator: Operator) -> None:
        datasets = [dataset(1, WEST), dataset(2, WEST), dataset(3, EAST)]
        operator.configure(self.system, map(region_block, REGIONS), datasets)
        succeed(operator, "deploy", EAST, "--yes", "--build", "none")
        assert unreachable(operator.account, *REGIONS) == []

    def test_every_single_mistake_in_what_joins_them_is_seen(self, operator: Operator) -> None:
        assert unseen_mistakes(operator.account) == []

    @pytest.mark.skipif(bool(missing_here()), reason=missing_here() or "nothing is missing")
    def test_the_main_job_computes_over_their_routes_and_no_route_can_go(
        self, operator: Operator, tmp_path: Path
    ) -> None:
        facts = reachability.read(operator.account, REGIONS, SYSTEM)
        with (tmp_path / "log").open("wb") as log, Namespaces(facts, tmp_path, log) as network:
            job = MainJob(facts, network, tmp_path)
            job.start()
            assert job.compute(seconds=300), (tmp_path / "log").read_text()[-4000:]
            for region in REGIONS:
                for number, route in enumerate(network.routes(region)):
                    other = next(key for key in REGIONS if BLOCKS[key] == route["DestinationCidrBlock"])
                    network.remove_route(region, number)
                    assert not job.reaches(region, other)
                    network.add_route(region, number)
                    assert job.reaches(region, other)
            network.remove_route(CLIENT, 0)
            assert not job.compute(seconds=15)

    def test_another_tag_keeps_the_size_of_the_pool(self, operator: Operator) -> None:
        operator.account.client("ecs", WEST).update_service(
            cluster=SYSTEM, service=f"{SYSTEM}-workers", desiredCount=2
        )
        before = pool(operator.account, WEST)["taskDefinition"]
        succeed(operator, "deploy", WEST, "--yes", "--build", "none", "--tag", "0.2.0")
        after = pool(operator.account, WEST)
        assert after["taskDefinition"] != before
        assert after["desiredCount"] == 2

    def test_a_region_leaves(self, operator: Operator) -> None:
        succeed(operator, "leave", EAST)
        reasons = unreachable(operator.account, *REGIONS)
        assert any(f"workers of {EAST} cannot reach scheduler" in reason for reason in reasons)
        assert unreachable(operator.account, CLIENT, WEST) == []

    def test_regions_are_removed_one_after_the_other_and_nothing_is_left(
        self, operator: Operator, empty: set[str]
    ) -> None:
        succeed(operator, "remove", EAST, "--yes")
        assert unreachable(operator.account, CLIENT, WEST) == []
        succeed(operator, "remove", "--yes")
        assert left(operator, empty) == []


@pytest.mark.xdist_group("life-cycle-small")
class TestSmallSystemOverTransitGateways:
    """All Regions at once, and the client Region is removed before the others."""

    system: ClassVar = {"name": SYSTEM, "profile": "small", "network": "transit-gateway"}

    def test_it_is_brought_up_and_joined(self, operator: Operator, empty: set[str]) -> None:
        assert not any(SYSTEM in name for name in empty)
        operator.configure(self.system, map(region_block, REGIONS), [dataset(1, WEST), dataset(2, EAST)])
        operator.type("deploy", "--yes", "--build", "none")
        operator.push(CLIENT, SYSTEM, "0.1.0")
        succeed(operator, "deploy", "--yes", "--build", "none")
        assert unreachable(operator.account, *REGIONS) == []

    def test_every_single_mistake_in_what_joins_them_is_seen(self, operator: Operator) -> None:
        assert unseen_mistakes(operator.account) == []

    def test_the_client_region_is_removed_first_and_nothing_is_left(
        self, operator: Operator, empty: set[str]
    ) -> None:
        succeed(operator, "remove", CLIENT, "--yes")
        succeed(operator, "remove", "--yes")
        assert left(operator, empty) == []
