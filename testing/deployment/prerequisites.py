"""What an account needs before the templates: images in ECR, a service-linked role, ``uv`` for the layers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from testing.deployment.emulator import Emulator

__all__ = ["give_images", "give_service_linked_role", "path_with_uv"]

_ROOT = Path(__file__).parents[2]


def give_service_linked_role(account: Emulator) -> None:
    """Make OpenSearch Service's role, which no fresh account has."""
    account.client("iam", "us-east-1").create_service_linked_role(
        AWSServiceName="opensearchservice.amazonaws.com"
    )


def give_images(account: Emulator, system: str, regions: Iterable[str], tags: Iterable[str]) -> None:
    """Make the repositories of scheduler and worker, each with an image of every tag."""
    for region in regions:
        registry = account.client("ecr", region)
        for name in (f"{system}-scheduler", f"{system}-worker"):
            registry.create_repository(repositoryName=name)
            for tag in tags:
                manifest = json.dumps({"schemaVersion": 2, "tag": tag})
                registry.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)


def path_with_uv() -> str:
    """Return a PATH on which ``make`` finds the pinned ``uv``."""
    [directory] = (_ROOT / ".uv").glob("*/bin")
    return f"{directory}{os.pathsep}{os.environ['PATH']}"
