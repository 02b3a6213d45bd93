"""The whole local system. It changes its process while it runs, so it ends with the module that uses it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dask_regions_local.demo.data import make
from dask_regions_local.emulator.system import LocalSystem
from dask_regions_local.settings import ROOT
from testing.local_system import run_state_machine

# What local mode reads of the repository; the rest is not needed to run it.
ARTEFACTS = (
    "template.yaml",
    "samconfig.toml",
    "datasets.yaml",
    "regional_stack",
    "statemachines",
    "functions",
)


@pytest.fixture(scope="session")
def copy_of_the_artefacts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that copies what is deployed, to be edited by one test."""

    def copy(name: str) -> Path:
        root = tmp_path_factory.mktemp(name)
        for artefact in ARTEFACTS:
            source = ROOT / artefact
            if source.is_dir():
                shutil.copytree(source, root / artefact)
            else:
                shutil.copy(source, root / artefact)
        # Not edited, and costly to make again.
        for shared in ("layers", ".cache", "uv.lock", "pyproject.toml", ".uv"):
            (root / shared).symlink_to(ROOT / shared)
        return root

    return copy


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """Run the local system from the repository's own artefacts, with a catalog that is in sync."""
    directory = tmp_path_factory.mktemp("system")
    make(directory)
    with LocalSystem(directory, root=ROOT) as running:
        execution = run_state_machine(running, "SyncCatalogStateMachine", {})
        assert execution["status"] == "SUCCEEDED", execution
        yield running
