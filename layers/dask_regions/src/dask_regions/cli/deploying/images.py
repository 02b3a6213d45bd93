"""``dask-regions images``: which image is in which Region."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.aws.deployment.account import who
from dask_regions.aws.deployment.images import tags
from dask_regions.aws.deployment.stacks import look
from dask_regions.cli.conventions import console, json_option, show_json, show_notes, table
from dask_regions.cli.deploying.system import find, samconfig_option
from dask_regions.deploy.images.replication import repositories
from dask_regions.deploy.plan import System
from dask_regions.deploy.states import stack_names

__all__ = ["images"]


@click.command()
@samconfig_option
@json_option
def images(samconfig: Path | None, as_json: bool) -> None:
    """Show the images of scheduler and workers: which tag is in which Region, and which one runs there.

    \b
    Example:
      dask-regions images
    """
    system = find(samconfig)
    who(system.client)
    documents = [
        document for region in system.configuration.regions for document in _images_of(system, region.name)
    ]
    if as_json:
        show_json({"images": documents})
        return
    columns = ["Region", "repository", "tag", "digest", "deployed"]
    rows = [
        [
            document["region"],
            document["repository"],
            document["tag"],
            document["digest"],
            "yes" if document["deployed"] else None,
        ]
        for document in documents
    ]
    console().print(table(columns, rows))
    if not documents:
        show_notes(["no Region has an image; `dask-regions deploy` builds them"])


def _images_of(system: System, name: str) -> list[dict[str, object]]:
    region = next(region for region in system.configuration.regions if region.name == name)
    stack = look(name, stack_names(system.name, client=region.client)[1])
    deployed = stack.parameters.get("ImageTag") if stack else None
    runs = repositories(system.name)[0 if region.client else 1]
    return [
        {
            "region": name,
            "repository": repository,
            "tag": tag,
            "digest": digest,
            "deployed": (repository, tag) == (runs, deployed),
        }
        for repository in repositories(system.name)
        for tag, digest in sorted((tags(name, repository) or {}).items())
    ]
