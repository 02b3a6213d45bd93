"""Tests stand in folders named as those of the package: what tests a module is found where it is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "dask_regions" / "src" / "dask_regions"
LOCAL = ROOT / "local" / "src" / "dask_regions_local"
#: Folders of the repository that are no Python package, and have tests of their own.
ARTEFACTS = {Path("functions"), Path("templates")}


def folders_of(kind: str) -> set[Path]:
    """Return the folders with tests, relative to the folder of the kind."""
    tests = ROOT / "tests" / kind
    return {file.parent.relative_to(tests) for file in tests.rglob("test_*.py")}


def packages() -> set[Path]:
    """Return the folders that the package and the local system have, as tests name them."""
    ours = {file.parent.relative_to(PACKAGE) for file in PACKAGE.rglob("__init__.py")}
    local = {Path("local") / file.parent.relative_to(LOCAL) for file in LOCAL.rglob("__init__.py")}
    return ours | local


@pytest.mark.parametrize("kind", ["unit", "functional"])
def test_folders_of_tests_are_those_of_the_package(kind: str) -> None:
    folders = folders_of(kind)
    assert Path("placement") in {parent for folder in folders for parent in (folder, *folder.parents)}
    strangers = folders - packages() - ARTEFACTS
    assert not strangers, f"tests/{kind}: no package has the folders {sorted(map(str, strangers))}"


def test_what_tests_share_is_in_testing() -> None:
    files = [file.relative_to(ROOT) for file in (ROOT / "tests").rglob("*.py")]
    helpers = [file for file in files if not file.name.startswith("test_") and file.name != "conftest.py"]
    assert files
    assert not helpers, f"move to testing/: {sorted(map(str, helpers))}"
