"""``dask-regions quotas``: what the account allows, beside what the system needs."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.aws.deployment import quotas as account
from dask_regions.aws.deployment.account import who
from dask_regions.aws.deployment.stacks import look
from dask_regions.cli.conventions import (
    CommandError,
    ExitCode,
    console,
    json_option,
    show_json,
    show_notes,
    table,
)
from dask_regions.cli.deploying.system import find, progress, samconfig_option
from dask_regions.deploy.plan import System, select
from dask_regions.deploy.quotas import Finding, compare, needs
from dask_regions.deploy.samconfig.parameters import complete
from dask_regions.deploy.states import stack_names
from dask_regions.errors import UnavailableError
from dask_regions.models import Region

__all__ = ["quotas", "warn_of_quotas"]

_COLUMNS = ["Region", "service", "quota", "needed", "allowed", "for"]


@click.command()
@click.argument("regions", nargs=-1, metavar="[REGION]...")
@samconfig_option
@json_option
def quotas(regions: tuple[str, ...], samconfig: Path | None, as_json: bool) -> None:
    """Compare the account's quotas with what each REGION needs at its largest; all Regions by default.

    Where one is too low, the command that asks AWS to raise it is shown, and the exit code is 4.

    \b
    Examples:
      dask-regions quotas
      dask-regions quotas us-west-2
    """
    system = find(samconfig)
    who(system.client)
    findings = [
        finding for region in select(system.configuration, regions) for finding in _compare(system, region)
    ]
    if as_json:
        show_json({"quotas": [_document(finding) for finding in findings]})
    else:
        console().print(table(_COLUMNS, [_row(finding) for finding in findings], frozenset(_COLUMNS[3:5])))
        show_notes([finding.command for finding in findings if finding.command])
    low = [f"{finding.need.service} in {finding.region}" for finding in findings if not finding.enough]
    if low:
        raise CommandError(
            f"quotas are too low: {', '.join(low)}; the commands above ask AWS to raise them, which takes "
            "minutes to days",
            ExitCode.DEGRADED,
        )


def warn_of_quotas(system: System, regions: tuple[Region, ...]) -> None:
    """Say on standard error which quotas are too low, or could not be looked up; stop nothing."""
    say = progress()
    for region in regions:
        try:
            findings = _compare(system, region)
        except UnavailableError as error:
            say(f"{region.name}: its quotas are not known ({error})")
            continue
        for finding in findings:
            if not finding.enough:
                say(f"{region.name}: a quota is too low for {finding.need.reason}: {finding.command}")


def _compare(system: System, region: Region) -> list[Finding]:
    required = list(
        needs(system.configuration, region, complete(system.configuration, region, system.checkout))
    )
    applied = {
        service: account.quotas(region.name, service) for service in {need.service for need in required}
    }
    deployed = look(region.name, stack_names(system.name, client=region.client)[1]) is not None
    own = 1 if deployed else 0
    used = {
        "networks": account.used_networks(region.name) - own,
        "addresses": account.used_addresses(region.name) - own,
    }
    return compare(region.name, required, applied, used)


def _row(finding: Finding) -> list[object]:
    quota = finding.quota
    name = quota.name if quota else " ".join(finding.need.words)
    allowed = f"{quota.value:g}" if quota else None
    return [finding.region, finding.need.service, name, f"{finding.amount:g}", allowed, finding.need.reason]


def _document(finding: Finding) -> dict[str, object]:
    return {
        "region": finding.region,
        "service": finding.need.service,
        "quota": finding.quota.model_dump() if finding.quota else None,
        "needed": finding.amount,
        "enough": finding.enough,
        "for": finding.need.reason,
        "command": finding.command or None,
    }
