"""What CodeBuild gets is what the Dockerfile reads, and where nothing builds it says how images are made."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest

from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.images.building import NoBuilder, context
from dask_regions.errors import NotFoundError

ROOT = Path(__file__).parents[3]


def copied() -> set[str]:
    """Return what the Dockerfile copies from its context."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "containers/Dockerfile").read_text(), re.MULTILINE)
    return {source for line in lines for source in line.split()[:-1]}


def test_an_upload_has_all_that_the_dockerfile_copies() -> None:
    with zipfile.ZipFile(io.BytesIO(context(Checkout(ROOT)))) as archive:
        names = archive.namelist()
    assert copied()
    for source in {*copied(), "containers/Dockerfile"}:
        assert any(name == source or name.startswith(f"{source}/") for name in names), source
    assert not any("__pycache__" in name for name in names)


def test_the_same_files_make_the_same_upload() -> None:
    assert context(Checkout(ROOT)) == context(Checkout(ROOT))


def test_without_a_builder_both_ways_are_told() -> None:
    with pytest.raises(NotFoundError) as refusal:
        NoBuilder("eu-west-2", "climate").build("0.2.0", ["climate-worker"])
    assert "climate-worker:0.2.0" in str(refusal.value)
    assert "start Docker" in str(refusal.value)
    assert "dask-regions deploy --build codebuild" in str(refusal.value)
