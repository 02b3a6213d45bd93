"""What the main job computes, on any two datasets, and how it asks the catalog for them."""

from __future__ import annotations

import numpy as np
import xarray as xr

__all__ = ["PERIOD", "SCENARIOS", "VARIABLE", "compute", "question"]

VARIABLE = "air_temperature"
#: The scenario that is compared, and the one that is subtracted.
SCENARIOS = ("A1B", "E1")
#: First and last year of the maps.
PERIOD = (2070, 2099)


def question(scenario: str) -> str:
    """Return the CQL2 text that finds one scenario's air temperature."""
    return f"a_contains(variables, '{VARIABLE}') AND scenario = '{scenario}'"


def compute(a1b: xr.Dataset, e1: xr.Dataset) -> xr.Dataset:
    """Compare air temperature under two scenarios.

    Lazy where the datasets are: the means and series of a scenario have one dataset as input, and
    only their difference has both.

    Parameters
    ----------
    a1b, e1
        Datasets with ``air_temperature`` in K, (time, latitude, longitude), on one grid.

    Returns
    -------
    xarray.Dataset
        ``mean_A1B``, ``mean_E1`` and ``difference`` (latitude, longitude), means over 2070-2099 in K;
        ``series_A1B`` and ``series_E1`` (year), means over the area weighted by cos(latitude), in K.
        All float64, because float32 sums of 30 years lose the sixth digit.
    """
    result: dict[str, xr.DataArray] = {}
    for scenario, dataset in zip(SCENARIOS, (a1b, e1), strict=True):
        temperature = dataset[VARIABLE].astype("float64").reset_coords(drop=True)
        result[f"mean_{scenario}"] = _mean_map(temperature)
        result[f"series_{scenario}"] = _area_mean(temperature)
    ours, theirs = xr.align(result["mean_A1B"], result["mean_E1"], join="exact")
    result["difference"] = ours - theirs
    for variable in result.values():
        variable.attrs = {"units": "K"}
    return xr.Dataset(result)


def _mean_map(temperature: xr.DataArray) -> xr.DataArray:
    first, last = PERIOD
    return temperature.sel(time=slice(f"{first:04d}", f"{last:04d}")).mean("time")


def _area_mean(temperature: xr.DataArray) -> xr.DataArray:
    weights = np.cos(np.deg2rad(temperature.latitude.astype("float64")))
    series = temperature.weighted(weights).mean(("latitude", "longitude"))
    return series.assign_coords(time=series.time.dt.year).rename(time="year")
