"""The workloads, the data they read, and the fewest bytes that must cross for each.

A build takes lazy arrays and returns a lazy array; on arrays in memory the same build gives what the
result has to equal. Minima are in bytes of values: neither headers nor messages of the scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import xarray as xr

__all__ = [
    "CLIENT",
    "EAST",
    "FULL_SIZE",
    "REGIONS",
    "SMALL_SIZE",
    "WEST",
    "WORKLOADS",
    "Size",
    "Workload",
    "time_axis",
]

CLIENT, EAST, WEST = "eu-west-2", "us-east-1", "us-west-2"

#: Region of each dataset.
REGIONS: Mapping[str, str] = {"a": EAST, "b": WEST, "forecast": WEST, "observation": CLIENT}

_QUANTILES = (0.1, 0.5, 0.9)
_MONTHS = 12


@dataclass(frozen=True)
class Size:
    """How large the datasets are.

    Attributes
    ----------
    steps, y, x
        Shape of ``a`` and ``b``: float64, one step is three days.
    steps_per_chunk
        Their chunks cover all of y and x.
    realizations, heights, latitudes, longitudes
        Shape of ``forecast``: float32; a chunk is a third of the heights of one realization. ``observation``
        has its latitudes and longitudes.
    """

    steps: int
    y: int
    x: int
    steps_per_chunk: int
    realizations: int
    heights: int
    latitudes: int
    longitudes: int

    @property
    def map(self) -> int:
        """Bytes of one step of ``a`` or ``b``."""
        return 8 * self.y * self.x

    @property
    def observation(self) -> int:
        """Bytes of ``observation``."""
        return 4 * self.latitudes * self.longitudes


#: Two arrays of 200 MB in chunks of 2.5 MB, and the Met Office's job at a quarter of its 960 x 1280.
FULL_SIZE = Size(400, 250, 250, 5, 18, 33, 240, 320)
#: The same numbers of chunks, of 100 kB.
SMALL_SIZE = Size(400, 50, 50, 5, 18, 33, 40, 50)


def time_axis(size: Size) -> pd.DatetimeIndex:
    """Return the times of ``a`` and ``b``."""
    return pd.date_range("2000-01-01", periods=size.steps, freq="3D")


@dataclass(frozen=True)
class Workload:
    """A computation on two datasets.

    Attributes
    ----------
    name, title
        Short name and what it does.
    datasets
        Names of its two datasets, see ``REGIONS``.
    build
        From the two arrays to the result.
    minimum
        From the sizes to the fewest bytes that have to cross, delivery to the client Region included.
    reason
        Why that is the minimum.
    """

    name: str
    title: str
    datasets: tuple[str, str]
    build: Callable[[xr.DataArray, xr.DataArray], xr.DataArray]
    minimum: Callable[[Size], int]
    reason: str


def _difference_of_means(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    return a.mean("time") - b.mean("time")


def _spread_of_anomalies(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    return (a - a.mean("time")).std() - (b - b.mean("time")).std()


def _mean_of_sum(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    return (a + b).mean("time")


def _months_of_series(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    end = a.indexes["time"][-1] + pd.Timedelta(days=3)
    later = b.assign_coords(time=b.indexes["time"] - b.indexes["time"][0] + end)
    return xr.concat([a, later], "time").groupby("time.month").mean()


def _in_columns(array: xr.DataArray) -> xr.DataArray:
    """Return all times of a tenth of y in each chunk; arrays in memory stay there."""
    return array.chunk(time=-1, y=array.sizes["y"] // 10) if array.chunks else array


def _spread_after_rechunk(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    def spread(array: xr.DataArray) -> xr.DataArray:
        return _in_columns(array).transpose("y", "x", "time").std("time")

    return spread(a) - spread(b)


def _spread_about_other_mean(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    return (b - a.mean("time")).std("time")


def _forecast_error(forecast: xr.DataArray, observation: xr.DataArray) -> xr.DataArray:
    return forecast.mean(["realization", "height"]) - observation


def _difference_of_quantiles(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    def quantiles(array: xr.DataArray) -> xr.DataArray:
        return _in_columns(array).quantile(list(_QUANTILES), "time", skipna=False)

    return quantiles(a) - quantiles(b)


def _correlation_of_anomalies(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    def anomalies(array: xr.DataArray) -> xr.DataArray:
        monthly = array.resample(time="MS").mean().groupby("time.month")
        return monthly - monthly.mean()

    return xr.corr(anomalies(a), anomalies(b), dim="time")


_TWO_MAPS = "one map to the other Region (or the client), one map to the client"

WORKLOADS: Mapping[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload(
            "i",
            "difference of means over time",
            ("a", "b"),
            _difference_of_means,
            lambda size: 2 * size.map,
            _TWO_MAPS,
        ),
        Workload(
            "ii",
            "difference of standard deviations of anomalies",
            ("a", "b"),
            _spread_of_anomalies,
            lambda _: 2 * 8,
            "two numbers",
        ),
        Workload(
            "iii",
            "mean over time of the sum",
            ("a", "b"),
            _mean_of_sum,
            lambda size: (size.steps + 1) * size.map,
            "all of one array, as the sum is taken before the mean; one map to the client",
        ),
        Workload(
            "iv",
            "monthly climatology of the joined series",
            ("a", "b"),
            _months_of_series,
            lambda size: 3 * _MONTHS * size.map,
            "twelve maps of sums and twelve of counts (of values that are not NaN) to the other Region, "
            "twelve means to the client; 24 to the client itself would be more",
        ),
        Workload(
            "v",
            "difference of standard deviations after rechunk and transpose",
            ("a", "b"),
            _spread_after_rechunk,
            lambda size: 2 * size.map,
            _TWO_MAPS,
        ),
        Workload(
            "vi",
            "standard deviation of one array about the other's mean",
            ("a", "b"),
            _spread_about_other_mean,
            lambda size: 2 * size.map,
            "the mean to the other array, one map to the client",
        ),
        Workload(
            "vii",
            "mean forecast minus observation (Met Office)",
            ("forecast", "observation"),
            _forecast_error,
            lambda size: size.observation,
            "the mean, in float32, to the client Region, where the observation is",
        ),
        Workload(
            "viii",
            "difference of quantiles over time, after rechunk",
            ("a", "b"),
            _difference_of_quantiles,
            lambda size: 2 * len(_QUANTILES) * size.map,
            "three maps to the other Region (or the client), three to the client",
        ),
        Workload(
            "ix",
            "correlation of anomalies of monthly means",
            ("a", "b"),
            _correlation_of_anomalies,
            lambda size: (time_axis(size).to_period("M").nunique() + 1) * size.map,
            "the monthly means of one array, or their anomalies, to the other; one map to the client",
        ),
    )
}
