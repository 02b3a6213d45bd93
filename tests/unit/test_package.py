"""The front door is light, what pip brings is the notebook's side, and the layers are compiled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import dask_regions

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "dask_regions"
COMPILE_LAYER = ROOT / "tools" / "compile-layer"
#: Packages of the notebook's side, which are too large for a layer.
NOTEBOOK = {
    "dask",
    "distributed",
    "flox",
    "h5netcdf",
    "pandas",
    "pyarrow",
    "pystac-client",
    "scipy",
    "xarray",
}
#: Packages of what runs in AWS, which no notebook needs, and the modules that they install.
CLOUD = {"aws-lambda-powertools", "boto3", "botocore", "cql2", "orjson", "pydantic", "shapely"}
CLOUD_MODULES = {name.replace("-", "_") for name in CLOUD} | {"rich", "yaml"}
#: The tests' own Python is the one that is found.
FIRST_ON_PATH = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_importing_the_package_imports_neither_dask_nor_xarray() -> None:
    code = "import sys, dask_regions; print(sorted({'dask', 'distributed', 'xarray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_scientist_calls_imports_nothing_of_what_runs_in_aws() -> None:
    # Dask imports YAML itself, so this hides all but that.
    code = f"""
import sys
for name in {sorted(CLOUD_MODULES - {"yaml"})}:
    sys.modules[name] = None
import dask_regions
for name in dask_regions.__all__:
    getattr(dask_regions, name)
import dask_regions.client.engine
try:
    dask_regions.connect("tcp://127.0.0.1:1", timeout=1)
except dask_regions.errors.UnavailableError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("no scheduler answers at tcp://127.0.0.1:1"), done.stderr


def test_the_command_without_its_extra_says_what_to_install() -> None:
    code = """
import sys
sys.modules["click"] = None
from dask_regions.cli.__main__ import run
run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("pip install 'dask-regions[cli]'\n")


def project() -> dict[str, Any]:
    return tomllib.loads((LAYER / "pyproject.toml").read_text(encoding="utf-8"))


def uv() -> str:
    return os.environ.get("UV") or str(max(ROOT.glob(".uv/*/bin/uv")))


def names(requirements: str) -> set[str]:
    """Return the packages that an export of the lock file names."""
    return {re.split(r"[ =;\[]", line)[0] for line in requirements.splitlines() if line[:1].isalpha()}


def test_installing_the_package_brings_the_notebooks_side_and_nothing_of_what_runs_in_aws() -> None:
    export = [uv(), "export", "--quiet", "--frozen", "--package", "dask-regions", "--no-dev"]
    done = subprocess.run([*export, "--no-hashes"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert names(done.stdout) >= NOTEBOOK
    assert not names(done.stdout) & CLOUD


@pytest.mark.parametrize("group", ["lambda", "harvest"])
def test_what_the_layers_are_exported_from_is_the_extra_of_that_name(group: str) -> None:
    declared = project()
    extras: dict[str, list[str]] = declared["project"]["optional-dependencies"]
    assert declared["dependency-groups"][group] == extras[group]


def test_layers_have_nothing_of_the_notebooks_side(tmp_path: Path) -> None:
    make = ["make", "--silent", "-C", str(LAYER), "harvest", f"ARTIFACTS_DIR={tmp_path}", f"UV={uv()}"]
    subprocess.run(make, check=True)
    core, harvest = (names((tmp_path / f"{name}.txt").read_text()) for name in ("core", "harvest"))
    assert core >= CLOUD
    assert {"h5py", "zarr"} <= harvest
    assert not core & harvest
    assert not (core | harvest) & NOTEBOOK


def make_alone(folder: Path, layer: Path) -> subprocess.CompletedProcess[str]:
    """Run a layer's Makefile with nothing but make, a shell and coreutils on PATH."""
    for program in ("make", "sh", "sed", "mkdir"):
        (folder / program).symlink_to(str(shutil.which(program)))
    make = [str(folder / "make"), "--silent", "-C", str(layer), "core", f"ARTIFACTS_DIR={folder}"]
    environment = {"PATH": str(folder), "HOME": os.environ.get("HOME", str(folder))}
    return subprocess.run(make, env=environment, capture_output=True, text=True, check=False)


def test_a_layer_is_built_where_uv_is_not_on_the_path(tmp_path: Path) -> None:
    done = make_alone(tmp_path, LAYER)
    assert done.returncode == 0, done.stderr
    assert names((tmp_path / "core.txt").read_text()) >= CLOUD


def test_a_layer_without_any_uv_says_what_to_run(tmp_path: Path) -> None:
    layer = tmp_path / "layers" / "dask_regions"
    layer.mkdir(parents=True)
    for path in (ROOT / "Makefile", LAYER / "Makefile"):
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    done = make_alone(tmp_path, layer)
    assert done.returncode != 0
    assert "uv is not installed; run `make setup` in the root of the repository" in done.stderr


@pytest.mark.parametrize("name", ["compute", "connect", "open_dataset", "plan", "store", "transfers"])
def test_what_a_scientist_calls_is_there(name: str) -> None:
    assert callable(getattr(dask_regions, name))


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dask_regions.nothing  # noqa: B018


def test_a_layer_is_compiled_for_its_python_and_stays_so_with_other_times(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("def where(): raise RuntimeError('here')\n")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run([COMPILE_LAYER, version, tmp_path], check=True, env=FIRST_ON_PATH)
    (tmp_path / "module.py").write_text("answer = 'of the source'\n")
    code = "import module; module.where()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "RuntimeError: here" in done.stderr


def test_a_layer_for_a_python_that_is_not_there_is_built_without_bytecode(tmp_path: Path) -> None:
    (tmp_path / "module.py").touch()
    done = subprocess.run(
        [COMPILE_LAYER, "3.99", tmp_path], check=True, capture_output=True, text=True, env=FIRST_ON_PATH
    )
    assert "without bytecode, for which Python 3.99 is needed" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "module.py"]
