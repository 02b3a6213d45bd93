"""Images are built by Docker on this machine, or by CodeBuild in the account."""

from __future__ import annotations

import io
import re
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dask_regions.aws.deployment import builds
from dask_regions.aws.deployment.images import login, registry
from dask_regions.aws.deployment.stacks import look
from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.sam import Sam, Say, run
from dask_regions.deploy.samconfig.environments import builder_environment
from dask_regions.errors import NotFoundError
from dask_regions.names import builder_stack

__all__ = ["Builder", "CodeBuildBuilder", "DockerBuilder", "NoBuilder", "context", "has_docker"]


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
            build = ["build", "--file", _DOCKERFILE, "--target", repository.rsplit("-", 1)[1]]
            run(
                [docker, *build, "--platform", "linux/amd64", "--tag", name, "."],
                self.checkout.root,
                self.say,
            )
            run([docker, "push", name], self.checkout.root, self.say)


_DOCKERFILE = "containers/Dockerfile"


@dataclass(frozen=True)
class CodeBuildBuilder:
    """Builds with CodeBuild in the account; its stack is deployed when it is first needed."""

    checkout: Checkout
    region: str
    system: str
    sam: Sam
    say: Say

    def build(self, tag: str, repositories: Sequence[str]) -> None:
        """Build and push each image."""
        self.sam.deploy(builder_environment(self.region))
        stack = look(self.region, builder_stack(self.system))
        if stack is None:
            raise NotFoundError(f"{self.region} has no stack {builder_stack(self.system)}; run this again")
        targets = " ".join(repository.rsplit("-", 1)[1] for repository in repositories)
        project, bucket = stack.outputs["ProjectName"], stack.outputs["SourceBucketName"]
        self.say(f"{self.region}: building {targets} with the tag {tag}; some ten minutes")
        builds.build(
            self.region, project, bucket, context(self.checkout), {"TARGETS": targets, "TAG": tag}, self.say
        )


def context(checkout: Checkout) -> bytes:
    """Return a zip file of the Dockerfile and what it copies; the same files give the same bytes."""
    dockerfile = (checkout.root / _DOCKERFILE).read_text(encoding="utf-8")
    copies = re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
    sources = {source for line in copies for source in line.split()[:-1] if not source.startswith("--")}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted({_DOCKERFILE, *sources}):
            top = checkout.root / name
            for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
                if path.is_file() and "__pycache__" not in path.parts:
                    entry = zipfile.ZipInfo(path.relative_to(checkout.root).as_posix())
                    mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
                    entry.external_attr = (mode | stat.S_IFREG) << 16
                    archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


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
