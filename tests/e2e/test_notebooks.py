"""The notebooks run as they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from dask_regions_local.emulator.system import LocalSystem

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("local")]

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path, system: LocalSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    mpl.use("agg")
    monkeypatch.setenv("DASK_REGIONS_API", system.api_url)
    monkeypatch.setenv("DASK_REGIONS_SCHEDULER", system.scheduler_address)
    variables: dict[str, Any] = {}
    try:
        for cell in json.loads(notebook.read_text())["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), variables)
        assert variables["warmer"].mean() > 1  # A1B ends the century more than 1 K above E1
        assert variables["moved"].crossed > 0
    finally:
        if "client" in variables:
            variables["client"].close()
