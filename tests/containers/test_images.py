"""The images of scheduler and workers: what they are, and the main job computed in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dask_regions.errors import UnavailableError
from dask_regions_local.demo import job
from dask_regions_local.demo.data import source
from testing.containers.cluster import Cluster, compute_main_job
from testing.containers.engine import Engine
from testing.containers.images import LABEL, TARGETS, build, compressed_bytes, digest
from testing.containers.main_job import DATA

pytestmark = [pytest.mark.containers]

MAX_COMPRESSED_BYTES = 500_000_000


def configuration(engine: Engine, image: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(engine.docker("inspect", "--format", "{{json .Config}}", image))
    return document


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_is_small(engine: Engine, images: Mapping[str, str], target: str) -> None:
    assert compressed_bytes(engine, images[target]) < MAX_COMPRESSED_BYTES


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_says_what_it_was_built_from(engine: Engine, images: Mapping[str, str], target: str) -> None:
    assert configuration(engine, images[target])["Labels"][LABEL] == digest()
    code = "from dask_regions.environment import environment_digest; print(environment_digest())"
    printed = engine.docker("run", "--rm", "--network", "none", images[target], "python", "-c", code)
    assert printed == digest()


@pytest.mark.usefixtures("images")
def test_an_image_is_not_built_for_another_environment(engine: Engine) -> None:
    with pytest.raises(UnavailableError, match="what tools/environment-digest prints"):
        build(engine, "0" * 64)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_of_a_system_is_in_an_image(engine: Engine, images: Mapping[str, str], target: str) -> None:
    search = "find / -xdev -name datasets.yaml -not -path '/proc/*' 2>/dev/null; env"
    printed = engine.docker("run", "--rm", "--network", "none", images[target], "sh", "-c", search)
    assert "datasets.yaml" not in printed
    assert "ENVIRONMENT" not in printed
    assert not [line for line in printed.splitlines() if line.startswith(("AWS_", "DATASETS_FILE", "SSL_"))]


def test_every_process_of_a_container_is_an_ordinary_users(cluster: Cluster) -> None:
    code = "import psutil; print(*{uid for p in psutil.process_iter() for uid in p.uids()})"
    for container in cluster.containers:
        assert cluster.run(container, "python", "-c", code) == "1000"


def test_the_main_job_in_containers_gives_what_plain_xarray_gives(
    engine: Engine, images: Mapping[str, str], cluster: Cluster, tmp_path: Path
) -> None:
    network = ("--network", "host")
    result, reads = compute_main_job(engine, images["worker"], cluster.address, tmp_path, network)
    expected = job.compute(*(source(scenario) for scenario in job.SCENARIOS))
    for name, values in expected.items():
        np.testing.assert_allclose(result[name], values, rtol=1e-9, atol=1e-9)
    assert set(reads) == {(region, region) for region in DATA}


def test_who_has_computed_is_still_healthy(cluster: Cluster) -> None:
    for container in cluster.containers:
        state = cluster.state(container)
        assert state["Health"]["Status"] == "healthy", state["Health"]["Log"]
        assert "closed before handshake" not in cluster.logs(container)
