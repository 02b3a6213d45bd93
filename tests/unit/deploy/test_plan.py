"""What a deployment gives ``sam``: its environment, and all parameters where an old value would stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_regions import config
from dask_regions.aws.deployment.stacks import Stack
from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.plan import Plan, System, select
from dask_regions.deploy.samconfig.parameters import complete
from dask_regions.deploy.states import Step
from dask_regions.errors import NotFoundError

ROOT = Path(__file__).parents[3]
CONFIGURATION = config.parse(
    """
regions:
  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}
  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {minimum_tasks: 0, maximum_tasks: 2}}
datasets:
  - {id: a, title: a, description: a, region: us-west-2, bucket: abc, layout: zarr, fsx_path: /fsx/abc}
""",
    ROOT / "datasets.yaml",
)
SYSTEM = System(CONFIGURATION, Checkout(ROOT), ROOT / "samconfig.toml", ROOT / "datasets.yaml")
CLIENT, WORKER = CONFIGURATION.regions
DEPLOYED = complete(CONFIGURATION, WORKER, Checkout(ROOT))


def plan(tag: str = DEPLOYED["ImageTag"], status: str = "CREATE_COMPLETE", **deployed: str) -> Plan:
    """Return the plan over a worker Region's stack with these parameters; without any there is no stack."""
    name = "dask-regions-worker"
    stack = Stack(region=WORKER.name, name=name, identifier=name, status=status, parameters=deployed)
    stacks = {(WORKER.name, name): stack} if deployed else {}
    tags = {CLIENT.name: tag, WORKER.name: tag}
    return Plan(SYSTEM, "1", "somebody", (WORKER,), stacks, tags)


def test_a_stack_that_is_not_there_gets_its_environment_alone() -> None:
    assert plan().overrides(WORKER) == []


def test_a_stack_that_has_what_it_should_gets_its_environment_alone() -> None:
    assert plan(**DEPLOYED).overrides(WORKER) == []


def test_a_parameter_that_is_named_no_more_gets_its_default_again() -> None:
    overrides = plan(**(DEPLOYED | {"LogRetentionDays": "365", "MissingThreshold": "5"})).overrides(WORKER)
    assert f"MissingThreshold={DEPLOYED['MissingThreshold']}" in [
        text.replace('""', "") for text in overrides
    ]
    assert {text.partition("=")[0] for text in overrides} == DEPLOYED.keys()


def test_a_tag_for_one_run_goes_before_the_default() -> None:
    assert "ImageTag=0.9" in plan("0.9").overrides(WORKER)


def test_a_release_changes_the_tag_of_what_is_deployed() -> None:
    assert f"ImageTag={DEPLOYED['ImageTag']}" in plan(**(DEPLOYED | {"ImageTag": "0.0.1"})).overrides(WORKER)


def test_stacks_of_images_come_before_all_others() -> None:
    assert plan(status="ROLLBACK_COMPLETE", **DEPLOYED).steps() == [
        (WORKER.name, "dask-regions-images", Step.CREATE),
        (WORKER.name, "dask-regions-worker", Step.RECREATE),
    ]


def test_regions_are_selected_by_name() -> None:
    assert select(CONFIGURATION, []) == (CLIENT, WORKER)
    assert select(CONFIGURATION, ["us-west-2"]) == (WORKER,)
    with pytest.raises(NotFoundError, match="did you mean us-west-2"):
        select(CONFIGURATION, ["us-west-1"])
