"""Build the images of scheduler and workers: ``python -m testing.containers.images``, or ``make containers``.

An engine that was started here reaches no registry of images, and builds on a base by debootstrap: the
release of Debian and the version of Python of the base that is shipped, without what Docker's makers add.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

from dask_regions.errors import DaskRegionsError
from testing.containers.engine import ROOT, Engine, running

__all__ = ["LABEL", "TARGETS", "build", "compressed_bytes", "digest", "main"]

TARGETS = ("scheduler", "worker")
#: Label of the images with the digest of their environment.
LABEL = "dask-regions.environment-digest"
_BASE = "dask-regions-base:trixie"
_NOT_IN_THE_BASE = ("./var/lib/apt/lists/*", "./var/cache/apt/*", "./usr/share/doc/*", "./usr/share/man/*")
#: Variables that name a bundle of certificates, for a network that has an authority of its own.
_CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")


def digest() -> str:
    """Return the digest of what ``uv.lock`` gives the images, from the script that the build runs too."""
    uv = os.environ.get("UV") or max(ROOT.glob(".uv/*/bin/uv"))
    script = [ROOT / "tools" / "environment-digest"]
    done = subprocess.run(
        script, env={**os.environ, "UV": str(uv)}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def build(engine: Engine, environment_digest: str | None = None) -> Mapping[str, str]:
    """Build both images, or what has changed of them.

    Parameters
    ----------
    engine
        Builds and keeps them.
    environment_digest
        What the label is to say; by default the digest of ``uv.lock``, and nothing else is accepted.

    Returns
    -------
    mapping
        ``scheduler`` and ``worker`` to the tag of each.

    Raises
    ------
    UnavailableError
        Where an image cannot be built.
    """
    label = environment_digest or digest()
    options = ["--network", "host", "--build-arg", f"ENVIRONMENT_DIGEST={label}"]
    if engine.ours:
        _make_base(engine)
        options += ["--build-arg", f"BASE={_BASE}"]
    bundle = next((os.environ[name] for name in _CERTIFICATES if os.environ.get(name)), None)
    if bundle:
        options += ["--secret", f"id=certificates,src={bundle}"]
    tags = {target: f"dask-regions-{target}:test" for target in TARGETS}
    for target, tag in tags.items():
        engine.docker(
            *("build", "--file", "containers/Dockerfile", "--target", target, "--tag", tag, *options, "."),
            DOCKER_BUILDKIT="1",
        )
    return tags


def _make_base(engine: Engine) -> None:
    if engine.docker("images", "--quiet", _BASE):
        return
    with tempfile.TemporaryDirectory(prefix="base-") as directory:
        subprocess.run(
            [
                *("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates"),
                *("trixie", directory),
            ],
            check=True,
            capture_output=True,
        )
        excluded = [f"--exclude={pattern}" for pattern in _NOT_IN_THE_BASE]
        with subprocess.Popen(
            ["tar", "-C", directory, *excluded, "-cf", "-", "."], stdout=subprocess.PIPE
        ) as archive:
            subprocess.run(
                engine.command("import", "-", _BASE), stdin=archive.stdout, check=True, capture_output=True
            )


def compressed_bytes(engine: Engine, image: str) -> int:
    """Return what an image weighs compressed, at gzip's fastest: a registry holds no more."""
    with (
        subprocess.Popen(engine.command("save", image), stdout=subprocess.PIPE) as saved,
        subprocess.Popen(["gzip", "--fast"], stdin=saved.stdout, stdout=subprocess.PIPE) as compressed,
    ):
        size = subprocess.run(["wc", "--bytes"], stdin=compressed.stdout, capture_output=True, text=True)
    return int(size.stdout)


def main() -> int:
    """Build the images and say what they weigh; returns the exit code."""
    begun = time.monotonic()
    try:
        with running() as engine:
            for target, tag in build(engine).items():
                size = compressed_bytes(engine, tag) / 1e6
                sys.stdout.write(f"{target}: {tag}, {size:.0f} MB compressed\n")
    except (DaskRegionsError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"built and weighed in {time.monotonic() - begun:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
