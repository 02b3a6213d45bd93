"""What a deployment will do: looked up first, said, and then done. Looking changes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_regions.aws.deployment.account import disabled_regions, who
from dask_regions.aws.deployment.stacks import Stack, look
from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.samconfig.parameters import complete, declarations, given, template_of
from dask_regions.deploy.states import Step, conflicts, stack_names, step
from dask_regions.errors import ConfigurationError, NotFoundError, UnavailableError
from dask_regions.models import Configuration, Region

__all__ = ["Plan", "System", "plan", "select"]

IMAGE_TAG = "ImageTag"


@dataclass(frozen=True)
class System:
    """What is deployed.

    Attributes
    ----------
    samconfig
        Path of the file that ``dask-regions config`` writes.
    datasets
        Path of ``datasets.yaml``.
    """

    configuration: Configuration
    checkout: Checkout
    samconfig: Path
    datasets: Path

    @property
    def name(self) -> str:
        """Its name."""
        return self.configuration.system.name

    @property
    def client(self) -> str:
        """Its client Region."""
        return self.configuration.client_region.name


@dataclass(frozen=True)
class Plan:
    """What a deployment will do.

    Attributes
    ----------
    account, identity
        Number of the account, and ARN of who is signed in.
    regions
        Regions whose stacks are deployed.
    stacks
        Stacks that are there, by Region and name.
    image_tags
        Tag of the images of each Region.
    returning
        Worker Regions that were named: one that had left the network comes back.
    """

    system: System
    account: str
    identity: str
    regions: tuple[Region, ...]
    stacks: Mapping[tuple[str, str], Stack]
    image_tags: Mapping[str, str]
    returning: tuple[str, ...] = ()

    def steps(self) -> list[tuple[str, str, Step]]:
        """Return Region, stack and what comes next for it, in the order of creation."""
        names = [
            (region.name, stack_names(self.system.name, client=region.client)) for region in self.regions
        ]
        return [
            (region, stack, step(self.stacks.get((region, stack))))
            for index in (0, 1)
            for region, pair in names
            for stack in (pair[index],)
        ]

    def overrides(self, region: Region) -> list[str]:
        """Return all parameters of a Region's stack where its environment alone would not set them.

        Notes
        -----
        ``sam deploy`` leaves a parameter that nobody names as it was deployed before. So what is no longer
        in ``datasets.yaml``, or has another default in a new release, is named here.
        """
        values = given(self.system.configuration, region, self.system.checkout)
        target = complete(self.system.configuration, region, self.system.checkout)
        defaults = dict(target)
        if IMAGE_TAG in target:
            target[IMAGE_TAG] = self.image_tags[region.name]
        _, name = stack_names(self.system.name, client=region.client)
        stack = self.stacks.get((region.name, name))
        deployed = stack.parameters if stack and step(stack) is not Step.CREATE else {}
        kept = {**defaults, **{key: text for key, text in deployed.items() if key in target}, **values}
        if target == kept:
            return []
        return [f"{key}={text or chr(34) * 2}" for key, text in target.items()]


def select(configuration: Configuration, names: Sequence[str]) -> tuple[Region, ...]:
    """Return the Regions of these names in the order of ``datasets.yaml``; all of them without names.

    Raises
    ------
    NotFoundError
        Where ``datasets.yaml`` lacks one.
    """
    known = [region.name for region in configuration.regions]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {close[0]}?" if close else "add it there"
            raise NotFoundError(f"datasets.yaml has no Region {name}, only {', '.join(known)}; {advice}")
    return tuple(region for region in configuration.regions if not names or region.name in names)


def plan(system: System, names: Sequence[str], tag: str | None, version: str) -> Plan:
    """Look at the account, and return what is to be done to it.

    Parameters
    ----------
    names
        Regions to deploy; all of them where there is none.
    tag
        Tag of the images, before that of ``datasets.yaml``.
    version
        Tag of the images where nobody names one.

    Raises
    ------
    ConfigurationError
        Where what is there belongs to another system, or cannot become what is asked for.
    UnavailableError
        Where nobody is signed in, or the account may not use a Region.
    """
    regions = select(system.configuration, names)
    account, identity = who(system.client)
    used = tuple(dict.fromkeys([*(region.name for region in regions), system.client]))
    if absent := disabled_regions(system.client, used):
        reasons = "; ".join(
            f"{region}: {reason}, `aws account enable-region --region-name {region}`"
            for region, reason in absent.items()
        )
        raise UnavailableError(f"these Regions cannot be used: {reasons}")
    stacks = _look(system, [region.name for region in system.configuration.regions])
    if problems := conflicts(system.configuration, [region.name for region in regions], stacks):
        raise ConfigurationError(*problems)
    image_tags = {
        region.name: tag or str(region.parameters.get(IMAGE_TAG) or _default_tag(system, region) or version)
        for region in system.configuration.regions
    }
    returning = tuple(name for name in names if name != system.client)
    return Plan(system, account, identity, regions, stacks, image_tags, returning)


def _default_tag(system: System, region: Region) -> str | None:
    declaration = declarations(template_of(region, system.checkout)).get(IMAGE_TAG)
    return str(declaration.default) if declaration and declaration.default is not None else None


def _look(system: System, regions: Sequence[str]) -> dict[tuple[str, str], Stack]:
    names = {name for client in (True, False) for name in stack_names(system.name, client=client)}
    looks = {(region, name): look(region, name) for region in regions for name in sorted(names)}
    return {key: stack for key, stack in looks.items() if stack is not None}
