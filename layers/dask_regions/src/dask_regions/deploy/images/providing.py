"""Images are in every Region that needs them before its stack is deployed: built once, then copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dask_regions.aws.deployment import images
from dask_regions.deploy.images.building import Builder
from dask_regions.deploy.images.replication import repositories, with_system
from dask_regions.deploy.plan import Plan
from dask_regions.deploy.sam import Say
from dask_regions.deploy.samconfig.parameters import complete
from dask_regions.errors import NotFoundError

__all__ = ["Held", "needed", "provide", "replicate"]

#: Architecture of what Docker and CodeBuild are asked for; the scheduler's stack has no other.
_BUILT_FOR = "x86_64"


@dataclass(frozen=True)
class Held:
    """An image that a Region needs, and whether it has it."""

    region: str
    repository: str
    tag: str
    present: bool


def needed(plan: Plan) -> Iterator[Held]:
    """Yield each image that the client Region and the Regions to deploy need, the client Region's first.

    The client Region holds both, also where only a worker Region is deployed: images are built into it, and
    copied from it.
    """
    scheduler, worker = repositories(plan.system.name)
    client = plan.system.client
    tags = [plan.image_tags[client], *(plan.image_tags[region.name] for region in plan.regions)]
    tagged_images = [
        (client, repository, tag) for tag in dict.fromkeys(tags) for repository in (scheduler, worker)
    ]
    tagged_images += [
        (region.name, worker, plan.image_tags[region.name]) for region in plan.regions if not region.client
    ]
    for region, repository, tag in tagged_images:
        yield Held(region, repository, tag, images.digest(region, repository, tag) is not None)


def provide(plan: Plan, builder: Builder, say: Say) -> None:
    """Build the images that are nowhere, and copy them to the Regions that lack them.

    Raises
    ------
    NotFoundError
        Where an image is nowhere and may not be built.
    """
    client = plan.system.client
    absent = [image for image in needed(plan) if not image.present]
    for tag in dict.fromkeys(image.tag for image in absent if image.region == client):
        lacking = [image.repository for image in absent if (image.region, image.tag) == (client, tag)]
        if not _fetch(plan, lacking, tag, say):
            _refuse_other_architectures(plan, tag, lacking)
            builder.build(tag, lacking)
    for image in absent:
        if image.region != client and images.digest(image.region, image.repository, image.tag) is None:
            images.copy(image.repository, image.tag, client, image.region, say)


def _refuse_other_architectures(plan: Plan, tag: str, lacking: Sequence[str]) -> None:
    """Raise where the workers' image would have to run on other processors than those it is built for."""
    system = plan.system
    others = [
        region.name
        for region in system.configuration.regions
        if complete(system.configuration, region, system.checkout).get("Architecture") == "arm64"
    ]
    worker = repositories(system.name)[1]
    if others and worker in lacking:
        raise NotFoundError(
            f"{', '.join(others)} wants an image {worker}:{tag} for arm64, and only {_BUILT_FOR} is built "
            "here; push one for both by hand (`docker buildx build --platform linux/amd64,linux/arm64`, "
            "see containers/README.md), or take Architecture away in datasets.yaml"
        )


def _fetch(plan: Plan, names: Sequence[str], tag: str, say: Say) -> bool:
    """Copy images that another Region has to the client Region; return whether all were there."""
    for name in names:
        source = next(
            (
                region.name
                for region in plan.system.configuration.regions
                if not region.client and images.digest(region.name, name, tag)
            ),
            None,
        )
        if source is None:
            return False
        images.copy(name, tag, source, plan.system.client, say)
    return True


def replicate(plan: Plan, say: Say) -> None:
    """Have ECR replicate what is pushed from now on to all worker Regions that are deployed, or will be."""
    client = plan.system.client
    deployed = {region for region, _ in plan.stacks} | {region.name for region in plan.regions}
    before = images.destinations(client)
    after = with_system(before, plan.system.name, plan.account, sorted(deployed - {client}))
    if after != before:
        say(f"{client}: replicating new images to {', '.join(sorted(deployed - {client})) or 'no Region'}")
        images.set_destinations(client, after)
