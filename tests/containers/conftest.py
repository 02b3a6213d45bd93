"""A Docker engine for the session, the images, and the main job's cluster made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from testing.containers import images as building
from testing.containers.cluster import Cluster, make_data
from testing.containers.engine import Engine, running


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def images(engine: Engine) -> Mapping[str, str]:
    """Return the tag of each image, built from what is checked out."""
    return building.build(engine)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the main job's data: Region to the directory that stands for its file system."""
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def cluster(engine: Engine, images: Mapping[str, str], data: Mapping[str, Path]) -> Iterator[Cluster]:
    """Yield a scheduler's container and one of workers for each Region, on this machine's loopback."""
    with Cluster(engine, images, data) as started:
        yield started
