"""Images are built once, copied to the Regions that lack them, and left alone where they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dask_regions import config
from dask_regions.aws.deployment import images
from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.images.providing import provide
from dask_regions.deploy.plan import Plan, System
from dask_regions.errors import NotFoundError

ROOT = Path(__file__).parents[3]
TEXT = """
regions:
  - {{name: eu-west-2, client: true, cidr: 10.0.0.0/16}}
  - name: us-west-2
    cidr: 10.1.0.0/16
    pool: {{minimum_tasks: 0, maximum_tasks: 2}}
    parameters: {parameters}
datasets:
  - {{id: a, title: a, description: a, region: us-west-2, bucket: abc, layout: zarr, fsx_path: /fsx/abc}}
"""
CLIENT, WEST = "eu-west-2", "us-west-2"
SCHEDULER, WORKER = "dask-regions-scheduler", "dask-regions-worker"


def plan(parameters: str = "{}") -> Plan:
    configuration = config.parse(TEXT.format(parameters=parameters), ROOT / "datasets.yaml")
    system = System(configuration, Checkout(ROOT), ROOT / "samconfig.toml", ROOT / "datasets.yaml")
    tags = {region.name: "0.1.0" for region in configuration.regions}
    return Plan(system, "1", "somebody", configuration.regions, {}, tags)


class Places:
    """Which image is in which Region, and what was done about it."""

    def __init__(self) -> None:
        self.there: set[tuple[str, str]] = set()
        self.copies: list[tuple[str, str, str]] = []
        self.builds: list[list[str]] = []

    def digest(self, region: str, repository: str, _tag: str) -> str | None:
        return "sha256:1" if (region, repository) in self.there else None

    def copy(self, repository: str, _tag: str, source: str, target: str, _say: object) -> None:
        assert (source, repository) in self.there
        self.there.add((target, repository))
        self.copies.append((repository, source, target))

    def build(self, _tag: str, repositories: Sequence[str]) -> None:
        self.there |= {(CLIENT, repository) for repository in repositories}
        self.builds.append(list(repositories))


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    made = Places()
    monkeypatch.setattr(images, "digest", made.digest)
    monkeypatch.setattr(images, "copy", made.copy)
    return made


def test_images_that_are_nowhere_are_built_once_and_copied(places: Places) -> None:
    provide(plan(), places, print)
    assert places.builds == [[SCHEDULER, WORKER]]
    assert places.copies == [(WORKER, CLIENT, WEST)]


def test_where_all_are_nothing_is_done(places: Places) -> None:
    places.there = {(CLIENT, SCHEDULER), (CLIENT, WORKER), (WEST, WORKER)}
    provide(plan(), places, print)
    assert (places.builds, places.copies) == ([], [])


def test_what_another_region_has_is_not_built_again(places: Places) -> None:
    places.there = {(CLIENT, SCHEDULER), (WEST, WORKER)}
    provide(plan(), places, print)
    assert (places.builds, places.copies) == ([], [(WORKER, WEST, CLIENT)])


def test_a_new_region_gets_a_copy_of_what_was_pushed_before(places: Places) -> None:
    places.there = {(CLIENT, SCHEDULER), (CLIENT, WORKER)}
    provide(plan(), places, print)
    assert (places.builds, places.copies) == ([], [(WORKER, CLIENT, WEST)])


def test_an_image_for_other_processors_is_asked_for_and_not_built_wrong(places: Places) -> None:
    with pytest.raises(NotFoundError, match="for arm64, and only x86_64 is built"):
        provide(plan("{Architecture: arm64, InstanceType: m7g.4xlarge}"), places, print)
    assert places.builds == []
