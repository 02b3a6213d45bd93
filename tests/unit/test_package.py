"""The package's front door is light."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dask_regions


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
