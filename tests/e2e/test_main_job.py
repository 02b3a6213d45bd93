"""`dask-regions demo`, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import iris_sample_data
import numpy as np
import psutil
import pytest
import xarray as xr

from testing import processes

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("demo")]

ROOT = Path(__file__).parents[2]


def expected() -> tuple[dict[str, xr.DataArray], dict[str, xr.DataArray]]:
    """Compute maps and area-weighted series with plain xarray, on one thread, from the Met Office's files."""
    maps, series = {}, {}
    for scenario in ("A1B", "E1"):
        with xr.open_dataset(Path(iris_sample_data.path) / f"{scenario}_north_america.nc") as dataset:
            air = dataset.air_temperature.load().astype("float64")
        maps[scenario] = air.sel(time=slice("2070", "2099")).mean("time")
        series[scenario] = air.weighted(np.cos(np.deg2rad(air.latitude.astype("float64")))).mean(
            ("latitude", "longitude")
        )
    return maps, series


def test_the_main_job_is_right_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with processes.start(
        [sys.executable, "-m", "dask_regions.cli", "demo", "--directory", str(tmp_path / "demo")],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        output, errors = demo.communicate()
    assert demo.returncode == 0, output + errors

    maps, series = expected()
    with xr.open_dataset(tmp_path / "demo" / "demo.nc") as got:
        for scenario in ("A1B", "E1"):
            np.testing.assert_allclose(got[f"mean_{scenario}"], maps[scenario], rtol=1e-6)
            np.testing.assert_allclose(got[f"series_{scenario}"], series[scenario], rtol=1e-6)
        np.testing.assert_allclose(got["difference"], maps["A1B"] - maps["E1"], atol=1e-6)
    assert (tmp_path / "demo" / "demo.png").stat().st_size > 20_000

    for word in ("us-west-2", "us-east-1", "eu-west-2", "$"):
        assert word in output
    assert re.search(r"http://\S+", output)

    left = [p.pid for p in psutil.process_iter() if str(tmp_path) in " ".join(_words(p))]
    assert left == []


def _words(process: psutil.Process) -> list[str]:
    try:
        return [*process.cmdline(), *process.environ().values()]
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return []
