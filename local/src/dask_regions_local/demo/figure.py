"""The demonstration's figure: two maps, their difference, and two time series."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dask_regions_local.demo.data import ATTRIBUTION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_COLOURS = {"A1B": "#b2182b", "E1": "#2166ac"}
_KELVIN = 273.15


def draw(result: xr.Dataset, file: Path, regions: Mapping[str, str]) -> None:
    """Draw what :func:`dask_regions_local.demo.job.compute` returned.

    Parameters
    ----------
    result
        Maps (latitude, longitude) and series (year), in K, in memory.
    file
        PNG file to write.
    regions
        Scenario to the Region in which it was computed; goes into the titles.
    """
    # matplotlib takes a second to import, and Agg needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes: dict[str, Any] = figure.subplot_mosaic(
        [["A1B", "E1", "difference"], ["series", "series", "series"]], height_ratios=[1, 1]
    )
    _draw_maps(figure, axes, result, regions)
    _draw_series(axes["series"], result)
    figure.suptitle(
        "Air temperature over North America under two emission scenarios", fontsize=14, fontweight="bold"
    )
    figure.supxlabel(ATTRIBUTION, fontsize=7, color="0.35")
    figure.savefig(file)


def _draw_maps(figure: Any, axes: dict[str, Axes], result: xr.Dataset, regions: Mapping[str, str]) -> None:
    celsius = {name: result[f"mean_{name}"] - _KELVIN for name in ("A1B", "E1")}
    lowest = min(float(values.min()) for values in celsius.values())
    highest = max(float(values.max()) for values in celsius.values())
    for name, values in celsius.items():
        axis = axes[name]
        mesh = _mesh(axis, values, cmap="RdYlBu_r", vmin=lowest, vmax=highest)
        axis.set_title(f"{name}, mean 2070-2099\ncomputed in {regions[name]}", fontsize=10)
    figure.colorbar(mesh, ax=[axes["A1B"], axes["E1"]], orientation="horizontal", label="°C", aspect=45)
    coldest = min(0.0, float(result["difference"].min()))
    mesh = _mesh(axes["difference"], result["difference"], cmap="YlOrRd", vmin=coldest)
    axes["difference"].set_title("A1B minus E1\nfrom the two means", fontsize=10)
    figure.colorbar(mesh, ax=axes["difference"], orientation="horizontal", label="K", aspect=22)


def _mesh(axis: Axes, values: xr.DataArray, **options: Any) -> Any:
    west = (values.longitude + 180) % 360 - 180
    mesh = axis.pcolormesh(west, values.latitude, values, shading="nearest", rasterized=True, **options)
    axis.contour(west, values.latitude, values, levels=6, colors="black", linewidths=0.35, alpha=0.6)
    # One degree of longitude is as wide as one of latitude at the middle of the map.
    axis.set_aspect(1 / np.cos(np.deg2rad(float(values.latitude.mean()))))
    axis.xaxis.set_major_locator(_every(30))
    axis.yaxis.set_major_locator(_every(15))
    axis.xaxis.set_major_formatter(lambda degrees, _: f"{abs(degrees):.0f}°{'W' if degrees < 0 else 'E'}")
    axis.yaxis.set_major_formatter(lambda degrees, _: f"{abs(degrees):.0f}°{'S' if degrees < 0 else 'N'}")
    axis.tick_params(labelsize=8)
    return mesh


def _every(degrees: float) -> Any:
    from matplotlib.ticker import MultipleLocator

    return MultipleLocator(degrees)


def _draw_series(axis: Axes, result: xr.Dataset) -> None:
    axis.axvspan(2070, 2099, color="0.93", zorder=0)
    axis.text(2084.5, 0.03, "mean of the maps", transform=axis.get_xaxis_transform(), ha="center", fontsize=8)
    for name, colour in _COLOURS.items():
        series = result[f"series_{name}"] - _KELVIN
        smooth = series.rolling(year=10, center=True, min_periods=5).mean()
        axis.plot(series.year, series, color=colour, linewidth=0.7, alpha=0.5)
        axis.plot(series.year, smooth, color=colour, linewidth=2)
        axis.annotate(
            name,
            (float(series.year[-1]), float(smooth[-1])),
            xytext=(5, 0),
            textcoords="offset points",
            color=colour,
            fontweight="bold",
            va="center",
        )
    axis.set_title("Annual mean over the area, weighted by cos(latitude); thick: 10 years", fontsize=10)
    axis.set_xlabel("year")
    axis.set_ylabel("°C")
    axis.set_xlim(float(result.year[0]), float(result.year[-1]) + 8)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
