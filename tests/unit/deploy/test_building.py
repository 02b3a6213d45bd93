"""What CodeBuild gets is what the Dockerfile reads, and where nothing builds it says how images are made."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.images.building import NoBuilder, context
from dask_regions.errors import NotFoundError

ROOT = Path(__file__).parents[3]


def test_an_upload_has_all_that_the_dockerfile_copies_and_no_more() -> None:
    with zipfile.ZipFile(io.BytesIO(context(Checkout(ROOT)))) as archive:
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    package = "layers/dask_regions/src/dask_regions/__init__.py"
    assert {"containers/Dockerfile", "uv.lock", "layers/dask_regions/pyproject.toml", package} <= modes.keys()
    assert modes["uv.lock"] == 0o644
    assert modes["tools/environment-digest"] == 0o755
    assert not any("__pycache__" in name or name.startswith(("tests/", ".")) for name in modes)


def test_the_same_files_make_the_same_upload() -> None:
    assert context(Checkout(ROOT)) == context(Checkout(ROOT))


def test_without_a_builder_both_ways_are_told() -> None:
    with pytest.raises(NotFoundError) as refusal:
        NoBuilder("eu-west-2", "climate").build("0.2.0", ["climate-worker"])
    assert "climate-worker:0.2.0" in str(refusal.value)
    assert "start Docker" in str(refusal.value)
    assert "dask-regions deploy --build codebuild" in str(refusal.value)
