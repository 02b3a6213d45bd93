"""The whole local system."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
    "local/datasets.yaml",
    "regional_stack",
    "statemachines",
    "functions",
)

_SYSTEM = pytest.StashKey[tuple[LocalSystem, ExitStack]]()


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
                (root / artefact).parent.mkdir(exist_ok=True)
                shutil.copy(source, root / artefact)
        # Not edited, and costly to make again.
        for shared in ("layers", ".cache", "uv.lock", "pyproject.toml", ".uv"):
            (root / shared).symlink_to(ROOT / shared)
        return root

    return copy


@pytest.fixture(scope="module")
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LocalSystem:
    """Run the local system from the repository's own artefacts, with a catalog that is in sync.

    One for all modules that ask for it, one after the other: they leave it as they found it.
    """
    stash = request.config.stash
    if _SYSTEM not in stash:
        directory = tmp_path_factory.mktemp("system")
        make(directory)
        with ExitStack() as stack:
            running = stack.enter_context(LocalSystem(directory, root=ROOT))
            execution = run_state_machine(running, "SyncCatalogStateMachine", {})
            assert execution["status"] == "SUCCEEDED", execution
            stash[_SYSTEM] = running, stack.pop_all()
    return stash[_SYSTEM][0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End the local system before the first test that does not use it: it changes its process."""
    yield
    stash = item.config.stash
    if _SYSTEM in stash and "system" not in getattr(nextitem, "fixturenames", ()):
        _, stack = stash[_SYSTEM]
        del stash[_SYSTEM]
        stack.close()
