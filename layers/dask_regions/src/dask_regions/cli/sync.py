"""``dask-regions sync``: bring the catalog up to date."""

from __future__ import annotations

from contextlib import suppress

import click
from pydantic import ValidationError
from rich.status import Status
from rich.text import Text

from dask_regions.aws.stepfunctions import Execution, SyncReport, follow, start
from dask_regions.cli.conventions import CommandError, ExitCode, console, json_option, show_json, table
from dask_regions.cli.system import Options, System, pool_of
from dask_regions.sync.steps import Failure

__all__ = ["sync"]


@click.command()
@click.option("--region", "regions", multiple=True, help="Only this Region; may be repeated.")
@click.option("--state-machine", metavar="ARN", help="Where the client Region has several systems.")
@click.option("--no-wait", is_flag=True, help="Start it and return at once.")
@json_option
@click.pass_obj
def sync(
    options: Options, regions: tuple[str, ...], state_machine: str | None, no_wait: bool, as_json: bool
) -> None:
    """Bring the catalog up to date with what the Regions hold.

    Starts the state machine that also runs every night at 00:00 UTC, and waits for it. Readers see
    the old catalog until the new one is complete; a Region that fails keeps its old Items, and the
    exit code is 4.

    \b
    Examples:
      dask-regions sync
      dask-regions sync --region us-west-2
    """
    system = System.find(options)
    configuration = system.configuration()
    for region in regions:
        pool_of(configuration, region)
    client_region = configuration.client_region.name
    with system.environment():
        execution = start(client_region, regions, state_machine=state_machine)
        if not no_wait:
            with console(progress=True).status("syncing") as status:
                execution = _wait(execution, client_region, status)
    if as_json:
        show_json(_document(execution))
    elif no_wait:
        click.echo(execution.arn)
    elif (report := execution.report()) is not None:
        _show_report(report)
    if not no_wait:
        _check_end(execution)


def _wait(execution: Execution, region: str, status: Status) -> Execution:
    for current in follow(execution, region):
        execution = current
        status.update(f"syncing: {current.status.lower()}")
    return execution


def _document(execution: Execution) -> dict[str, object]:
    report = execution.report()
    return {
        "execution": execution.arn,
        "status": execution.status,
        "report": report.model_dump(mode="json") if report else None,
    }


def _check_end(execution: Execution) -> None:
    if execution.status == "SUCCEEDED":
        return
    partial = execution.report() is not None
    reason = "some Regions failed" if partial else _reason(execution)
    raise CommandError(
        f"the sync ended as {execution.status} ({reason}); mend the cause, then run `dask-regions sync` "
        f"again. Its history: {execution.arn}",
        ExitCode.DEGRADED if partial else ExitCode.FAILED,
    )


def _reason(execution: Execution) -> str:
    """Return why an execution failed, out of the JSON that Step Functions and Lambda wrap it in."""
    with suppress(ValidationError):
        failure = Failure.model_validate_json(execution.cause or "")
        if failure.error:
            return failure.text()
    return ": ".join(text for text in (execution.error, execution.cause) if text) or "no reason given"


def _show_report(report: SyncReport) -> None:
    counted = ("Items", "added", "changed", "removed", "skipped", "LIST", "GET", "seconds", "dollars")
    rows: list[list[object]] = []
    for region, result in report.regions.items():
        if region in report.failed:
            rows.append([region, "failed", *([None] * (len(counted) - 1))])
            continue
        counts = [result.items, result.added, result.changed, result.removed, result.skipped]
        rows.append([region, *counts, result.lists, result.gets, result.seconds, f"{result.dollars:.4f}"])
    console().print(table(["Region", *counted], rows, right=frozenset(counted)))
    for region, reason in report.failed.items():
        console().print(Text(f"{region} keeps its old Items: {reason}", style="red"))
    for result in report.regions.values():
        for example in result.examples:
            console().print(Text(f"skipped {example}", style="dim"))
    news = "is in sync" if report.changed else "was in sync already"
    click.echo(
        f"the catalog {news}: {report.items} Items, {report.seconds:.0f} s, about ${report.dollars:.4f} of "
        f"requests; all that was skipped is in the staging bucket, {report.report}"
    )
