"""Images are built by Docker on this machine, or by CodeBuild in the account."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from dask_regions.aws.deployment.images import login, registry
from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.sam import Say, run
from dask_regions.errors import NotFoundError

__all__ = ["Builder", "DockerBuilder", "NoBuilder", "has_docker"]

Kind = Literal["docker", "codebuild", "none"]


class Builder(Protocol):
    """Builds images into the client Region's repositories."""

    def build(self, tag: str, repositories: Sequence[str]) -> None:
        """Build and push an image of each repository, whose last word names the Dockerfile's target."""


@dataclass(frozen=True)
class NoBuilder:
    """Refuses to build, and says how it could be done."""

    region: str
    system: str

    def build(self, tag: str, repositories: Sequence[str]) -> None:
        """Raise NotFoundError."""
        names = " and ".join(f"{repository}:{tag}" for repository in repositories)
        raise NotFoundError(
            f"{self.region} has no image {names}, and none is built here. Either start "
            "Docker (`docker info` tells) and run this again, or have the account build them: "
            "`dask-regions deploy --build codebuild`; or push them by hand, see containers/README.md"
        )


@dataclass(frozen=True)
class DockerBuilder:
    """Builds with Docker on this machine."""

    checkout: Checkout
    region: str
    say: Say

    def build(self, tag: str, repositories: Sequence[str]) -> None:
        """Build and push each image."""
        host = registry(self.region)
        user, password = login(self.region)
        docker = self.checkout.program("docker")
        run(
            [docker, "login", "--username", user, "--password-stdin", host],
            self.checkout.root,
            self.say,
            stdin=password.encode(),
        )
        for repository in repositories:
            name = f"{host}/{repository}:{tag}"
            build = ["build", "--file", "containers/Dockerfile", "--target", repository.rsplit("-", 1)[1]]
            run(
                [docker, *build, "--platform", "linux/amd64", "--tag", name, "."],
                self.checkout.root,
                self.say,
            )
            run([docker, "push", name], self.checkout.root, self.say)


def has_docker() -> bool:
    """Return whether a Docker engine answers on this machine."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        done = subprocess.run([docker, "info"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
