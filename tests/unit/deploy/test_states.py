"""What a stack's state means for the next deployment, and what is refused because it belongs to another."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_regions import config
from dask_regions.aws.deployment.stacks import Stack
from dask_regions.deploy.states import Step, conflicts, step
from dask_regions.models import Configuration

ROOT = Path(__file__).parents[3]
CONFIGURATION = config.parse(
    """
regions:
  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}
  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {minimum_tasks: 0, maximum_tasks: 2}}
""",
    ROOT / "datasets.yaml",
)


def stack(
    region: str, name: str, status: str = "CREATE_COMPLETE", system: str = "dask-regions", **parameters: str
) -> dict[tuple[str, str], Stack]:
    made = Stack(
        region=region,
        name=name,
        identifier=name,
        status=status,
        parameters=parameters,
        tags={"system": system},
        reason="a bucket is not empty",
    )
    return {(region, name): made}


@pytest.mark.parametrize(
    ("status", "following"),
    [
        ("CREATE_COMPLETE", Step.UPDATE),
        ("UPDATE_COMPLETE", Step.UPDATE),
        ("UPDATE_ROLLBACK_COMPLETE", Step.UPDATE),
        ("REVIEW_IN_PROGRESS", Step.CREATE),
        ("CREATE_IN_PROGRESS", Step.WAIT),
        ("DELETE_IN_PROGRESS", Step.WAIT),
        ("ROLLBACK_COMPLETE", Step.RECREATE),
        ("ROLLBACK_FAILED", Step.RECREATE),
        ("DELETE_FAILED", Step.RECREATE),
        ("UPDATE_ROLLBACK_FAILED", Step.STUCK),
    ],
)
def test_every_state_has_its_cure(status: str, following: Step) -> None:
    (made,) = stack("us-west-2", "dask-regions-worker", status).values()
    assert step(made) is following


def test_what_is_not_there_is_created() -> None:
    assert step(None) is Step.CREATE


def problems(configuration: Configuration, *stacks: dict[tuple[str, str], Stack]) -> list[str]:
    there = {key: made for stacks_of in stacks for key, made in stacks_of.items()}
    return conflicts(configuration, ["eu-west-2", "us-west-2"], there)


def test_what_is_ones_own_is_no_conflict() -> None:
    own = stack("us-west-2", "dask-regions-worker", ClientRegion="eu-west-2", Cidr="10.1.0.0/16")
    assert problems(CONFIGURATION, own, stack("eu-west-2", "dask-regions", Cidr="10.0.0.0/16")) == []


def test_a_region_of_another_system_of_the_same_name_is_refused() -> None:
    (problem,) = problems(CONFIGURATION, stack("us-west-2", "dask-regions-worker", ClientRegion="eu-west-1"))
    assert "whose client Region is eu-west-1, not eu-west-2: two systems of one name" in problem
    assert "system.name in datasets.yaml" in problem
    assert "`dask-regions remove us-west-2`" in problem


def test_a_stack_of_this_name_that_another_system_made_is_refused() -> None:
    (problem,) = problems(CONFIGURATION, stack("eu-west-2", "dask-regions", system="other"))
    assert "of another system, other" in problem


def test_a_region_cannot_be_client_and_worker() -> None:
    (problem,) = problems(CONFIGURATION, stack("us-west-2", "dask-regions"))
    assert "it is the client Region of 'dask-regions' already" in problem


def test_a_network_does_not_change_its_block_while_it_is_used() -> None:
    (problem,) = problems(CONFIGURATION, stack("us-west-2", "dask-regions-worker", Cidr="10.9.0.0/16"))
    assert "Put 10.9.0.0/16 back" in problem


def test_a_block_may_change_where_nothing_of_the_stack_serves() -> None:
    failed = stack("us-west-2", "dask-regions-worker", "ROLLBACK_COMPLETE", Cidr="10.9.0.0/16")
    assert problems(CONFIGURATION, failed) == []


def test_a_stack_that_could_not_be_rolled_back_is_told_with_the_command() -> None:
    stuck = stack("us-west-2", "dask-regions-worker", "UPDATE_ROLLBACK_FAILED", Cidr="10.1.0.0/16")
    (problem,) = problems(CONFIGURATION, stuck)
    assert "a bucket is not empty" in problem
    assert "aws cloudformation continue-update-rollback --stack-name dask-regions-worker" in problem
