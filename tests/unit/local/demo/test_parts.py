"""The demonstration's data, what is computed on them, and its figure, without the local system."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dask_regions_local.demo import data, figure, job
from dask_regions_local.settings import ROOT


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return data.make(tmp_path_factory.mktemp("data"), ROOT)


def open_both(buckets: tuple[Path, ...]) -> tuple[xr.Dataset, xr.Dataset]:
    """Open the Zarr store and the decades, lazily."""
    [store] = [file.parent for file in buckets[0].rglob(".zmetadata")]
    decades = [
        xr.open_dataset(file, engine="h5netcdf", chunks={}) for file in sorted(buckets[1].rglob("*.nc"))
    ]
    joined = xr.concat(
        decades, "time", data_vars="minimal", coords="minimal", compat="override", join="exact"
    )
    return xr.open_zarr(store), joined


def digests(directory: Path) -> dict[str, str]:
    return {
        str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.rglob("*"))
        if file.is_file()
    }


def test_each_scenario_stands_in_its_region_and_layout(buckets: tuple[Path, ...]) -> None:
    a1b, e1 = buckets
    assert a1b.parts[-3:] == ("s3", "us-west-2", "demo-a1b-us-west-2")
    assert e1.parts[-3:] == ("s3", "us-east-1", "demo-e1-us-east-1")
    [store] = [file.parent.relative_to(a1b).parts for file in a1b.rglob(".zmetadata")]
    assert len(store) == 10
    assert (store[0], store[4], store[7]) == ("CMIP6", "A1B", "air_temperature")
    decades = sorted(str(file.relative_to(e1)) for file in e1.rglob("*.nc"))
    assert len(decades) == 24
    assert decades[0] == "1860/01/data/air_temperature.nc"


def test_the_data_are_the_source_s_own_values(buckets: tuple[Path, ...]) -> None:
    for scenario, dataset in zip(job.SCENARIOS, open_both(buckets), strict=True):
        want = data.source(scenario)
        np.testing.assert_array_equal(dataset.air_temperature, want.air_temperature)
        assert list(dataset.time.values) == list(want.time.values)
        assert dataset.air_temperature.chunks is not None
        assert set(dataset.air_temperature.chunks[0]) == {10}


def test_making_the_data_again_gives_the_same_bytes(buckets: tuple[Path, ...], tmp_path: Path) -> None:
    others = data.make(tmp_path, ROOT)
    assert [digests(bucket) for bucket in others] == [digests(bucket) for bucket in buckets]


def test_data_that_are_there_are_left_alone(buckets: tuple[Path, ...], tmp_path: Path) -> None:
    for bucket in buckets:
        shutil.copytree(bucket, tmp_path / bucket.relative_to(bucket.parents[2]))
    mark = tmp_path / "s3" / "us-west-2" / "demo-a1b-us-west-2" / "mark"
    mark.touch()
    data.make(tmp_path, ROOT)
    assert mark.exists()


def test_an_interrupted_run_leaves_no_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: str) -> xr.Dataset:
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "source", stop)
    with pytest.raises(KeyboardInterrupt):
        data.make(tmp_path, ROOT)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list(tmp_path.rglob("demo-*")) == []


def test_maps_and_series_are_what_numpy_says() -> None:
    a1b, e1 = data.source("A1B"), data.source("E1")
    result = job.compute(a1b, e1)
    maps = {}
    weights = np.cos(np.deg2rad(a1b.latitude.values.astype("f8")))[:, np.newaxis] * np.ones(49)
    for scenario, dataset in (("A1B", a1b), ("E1", e1)):
        values = dataset.air_temperature.values.astype("f8")
        maps[scenario] = values[210:240].mean(axis=0)
        series = [np.average(year, weights=weights) for year in values]
        np.testing.assert_allclose(result[f"mean_{scenario}"], maps[scenario], rtol=1e-12)
        np.testing.assert_allclose(result[f"series_{scenario}"], series, rtol=1e-12)
    np.testing.assert_allclose(result["difference"], maps["A1B"] - maps["E1"], rtol=1e-9)
    assert list(result.year.values) == list(range(1860, 2100))


def test_lazy_and_plain_data_give_the_same_answer(buckets: tuple[Path, ...]) -> None:
    lazy = job.compute(*open_both(buckets))
    assert all(variable.chunks is not None for variable in lazy.data_vars.values())
    plain = job.compute(data.source("A1B"), data.source("E1"))
    xr.testing.assert_allclose(lazy.compute(scheduler="synchronous"), plain, rtol=1e-12)


def test_grids_that_differ_are_an_error() -> None:
    a1b = data.source("A1B")
    with pytest.raises(ValueError, match="align"):
        job.compute(a1b, a1b.isel(latitude=slice(1, None)))


def test_the_figure_is_a_picture_with_colours(tmp_path: Path) -> None:
    from matplotlib.image import imread

    file = tmp_path / "demo.png"
    result = job.compute(data.source("A1B"), data.source("E1"))
    figure.draw(result, file, {"A1B": "us-west-2", "E1": "us-east-1"})
    pixels = imread(file)
    assert pixels.shape[0] > 600
    assert pixels.shape[1] > 1000
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 500
