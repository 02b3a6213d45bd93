"""Take Regions, or the whole system, down: out of the network first, then the stacks, then what they left.

Nothing here depends on the order in which Regions were deployed, or on how far that came: what is there is
looked up, and deleted. The client Region may go before the others, or be gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dask_regions.aws.deployment import images, leftovers
from dask_regions.aws.deployment.stacks import Stack, delete, failures, look, resources, settle
from dask_regions.deploy.bringing_up import IncompleteError
from dask_regions.deploy.images.replication import with_system, without_system
from dask_regions.deploy.joining import separate
from dask_regions.deploy.plan import System
from dask_regions.deploy.sam import Say
from dask_regions.deploy.states import Step, step
from dask_regions.errors import DaskRegionsError
from dask_regions.names import builder_stack, client_stack, images_stack, worker_stack

__all__ = ["Removal", "look_up", "take_down"]

#: A deletion is tried once more: functions' interfaces may outlive the first, and logs arrive meanwhile.
_ATTEMPTS = 2
_PARALLEL_STACKS = 16
#: sam makes it in each Region for itself, and other projects may use it.
_SAM_STACK = "aws-sam-cli-managed-default"


@dataclass(frozen=True)
class Removal:
    """What there is to remove.

    Attributes
    ----------
    whole
        Whether all of the system goes.
    stacks
        Its stacks that go, those of images and builds last.
    """

    system: System
    whole: bool
    stacks: tuple[Stack, ...]

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions in which something goes."""
        return tuple(dict.fromkeys(stack.region for stack in self.stacks))


def look_up(system: System, names: Sequence[str]) -> Removal:
    """Look for what is there of a system.

    Parameters
    ----------
    names
        Regions to remove, also such as are no longer in ``datasets.yaml``; without any, all Regions of the
        account are searched.

    Raises
    ------
    UnavailableError
        Where nobody is signed in, or AWS does not answer.
    """
    regions = list(dict.fromkeys(names)) or leftovers.enabled_regions(system.client)
    name = system.name
    first, last = (client_stack(name), worker_stack(name)), (builder_stack(name), images_stack(name))
    candidates = [(region, stack) for stacks in (first, last) for region in regions for stack in stacks]
    with ThreadPoolExecutor(max_workers=_PARALLEL_STACKS) as pool:
        stacks = pool.map(lambda pair: look(*pair), candidates)
        own = [stack for stack in stacks if stack and stack.tags.get("system", name) == name]
    return Removal(system, not names, tuple(own))


def take_down(removal: Removal, say: Say) -> list[str]:
    """Remove what was looked up; return sentences on what is left, and why.

    Raises
    ------
    IncompleteError
        Where stacks could not be deleted; the others are.
    """
    system, name = removal.system, removal.system.name
    running = [stack for stack in removal.stacks if stack.name in (client_stack(name), worker_stack(name))]
    rest = [stack for stack in removal.stacks if stack not in running]
    separate(system, list(dict.fromkeys(stack.region for stack in running)), say, whole=removal.whole)
    _delete_all(running, say)
    _stop_replicating(removal, say)
    _delete_all(rest, say)
    return _left(removal)


def _delete_all(stacks: Sequence[Stack], say: Say) -> None:
    with ThreadPoolExecutor(max_workers=max(len(stacks), 1)) as pool:
        problems = [problem for problem in pool.map(lambda stack: _delete(stack, say), stacks) if problem]
    if problems:
        raise IncompleteError("; ".join(problems) + "; mend that, and run `dask-regions remove` again")


def _delete(stack: Stack, say: Say) -> str | None:
    """Delete one stack; return why it is still there."""
    current: Stack | None = stack
    try:
        for _ in range(_ATTEMPTS):
            if current is not None and step(current) is Step.WAIT:
                current = settle(current, say)
            if current is not None:
                _empty_buckets(current)
                current = delete(current, say)
            if current is None:
                say(f"{stack.region}: the stack {stack.name} is gone")
                return None
        assert current is not None
        reasons = "; ".join(failures(current)[:3]) or current.reason
    except DaskRegionsError as error:
        return f"{stack.region}: {error}"
    return f"{stack.region}: the stack {stack.name} is {current.status}: {reasons}"


def _empty_buckets(stack: Stack) -> None:
    """Empty the buckets that a stack has made, which CloudFormation would not delete otherwise."""
    for bucket in resources(stack.region, stack.identifier, "AWS::S3::Bucket"):
        leftovers.empty_bucket(stack.region, bucket)


def _stop_replicating(removal: Removal, say: Say) -> None:
    """Take the Regions that go out of the registry's rules, which belong to no stack."""
    system = removal.system
    goes = set(removal.regions)
    sources = dict.fromkeys([system.client, *(removal.regions if removal.whole else ())])
    for source in sources:
        before = images.destinations(source)
        ours = [rule for rule in before if rule not in without_system(before, system.name)]
        after = without_system(before, system.name)
        if not removal.whole and source not in goes:
            for rule in ours:
                stay = [each["region"] for each in rule["destinations"] if each["region"] not in goes]
                after = with_system(after, system.name, rule["destinations"][0]["registryId"], stay)
        if after != before:
            say(f"{source}: new images are replicated to the Regions that stay")
            images.set_destinations(source, after)


def _left(removal: Removal) -> list[str]:
    """Return what AWS keeps of its own accord."""
    sentences = []
    for region in removal.regions:
        groups = leftovers.log_groups(region, removal.system.name)
        if groups:
            sentences.append(
                f"{region}: log groups that AWS made by itself: {', '.join(groups)}; "
                f"`aws logs delete-log-group --region {region} --log-group-name <name>`"
            )
        if look(region, _SAM_STACK):
            sentences.append(
                f"{region}: the stack {_SAM_STACK}, whose bucket sam uses for all of the account; "
                f"where there is no other: `sam delete --stack-name {_SAM_STACK} --region {region}`"
            )
    if removal.regions:
        sentences.append(
            "KMS keys of the system are deleted at the end of their waiting period, and cost nothing"
        )
    return sentences
