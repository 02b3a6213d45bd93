"""The digest of an environment, and that every architecture can have what the digest names."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from dask_regions.environment import environment_digest

ROOT = Path(__file__).parents[2]


def uv() -> str:
    return os.environ.get("UV") or str(max(ROOT.glob(".uv/*/bin/uv")))


def test_an_environment_without_a_digest_has_none(tmp_path: Path) -> None:
    assert environment_digest(tmp_path) is None


def test_the_digest_of_an_environment_is_in_its_root(tmp_path: Path) -> None:
    script = [ROOT / "tools" / "environment-digest"]
    done = subprocess.run(script, env={**os.environ, "UV": uv()}, capture_output=True, text=True, check=True)
    (tmp_path / "environment-digest").write_text(done.stdout)
    digest = environment_digest(tmp_path)
    assert digest
    assert len(digest) == 64
    assert set(digest) <= set("0123456789abcdef")


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_every_package_of_the_images_has_a_wheel_for_the_architecture(architecture: str) -> None:
    export = [uv(), "export", "--quiet", "--frozen", "--no-header", "--no-annotate", "--no-hashes"]
    extras = ["--extra", "placement", "--extra", "lambda", "--extra", "harvest", "--no-emit-workspace"]
    done = subprocess.run(
        [*export, "--package", "dask-regions", *extras], cwd=ROOT, capture_output=True, text=True, check=True
    )
    needed = {line.split("==")[0] for line in done.stdout.splitlines() if "==" in line}
    assert "pyarrow" in needed
    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    wheels = {
        package["name"]: [wheel["url"] for wheel in package.get("wheels", ())]
        for package in packages
        if package["name"] in needed
    }
    tags = ("manylinux_2_17", "manylinux_2_28", "manylinux2014")
    fitting = ("-none-any.whl", *(f"{tag}_{architecture}" for tag in tags))
    lacking = [
        name for name, urls in wheels.items() if not any(tag in url for url in urls for tag in fitting)
    ]
    assert lacking == []
