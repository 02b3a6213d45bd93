"""The package's front door is light, and its layers are compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dask_regions

COMPILE_LAYER = Path(__file__).parents[2] / "tools" / "compile-layer"
#: The tests' own Python is the one that is found.
FIRST_ON_PATH = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_importing_the_package_imports_neither_dask_nor_xarray() -> None:
    code = "import sys, dask_regions; print(sorted({'dask', 'distributed', 'xarray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["compute", "connect", "open_dataset", "plan", "transfers"])
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
