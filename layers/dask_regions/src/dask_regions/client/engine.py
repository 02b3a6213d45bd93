"""xarray's engine ``dask-regions``: open a file of a Region by its path, with xarray's own functions."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import PurePosixPath
from typing import Any, ClassVar

import xarray as xr
from xarray.backends import BackendEntrypoint

from dask_regions.client.open import open_source
from dask_regions.client.opening.sources import Source
from dask_regions.data.guard import process_region
from dask_regions.errors import RequestError

__all__ = ["RegionBackend"]


class RegionBackend(BackendEntrypoint):
    """Opens NetCDF-4 files and Zarr stores on a worker of their Region; values are read there only.

    Named ``dask-regions``, it serves every function of xarray that takes an ``engine``. Give ``chunks``, or
    nothing can be computed: this process reads no values.

    Examples
    --------
    >>> xr.open_dataset(  # doctest: +SKIP
    ...     "/fsx/air.nc", engine="dask-regions", region="us-west-2", chunks={}
    ... )
    >>> xr.open_mfdataset(  # doctest: +SKIP
    ...     ["/fsx/1999.nc", "/fsx/2000.nc"], engine="dask-regions", region="us-east-1"
    ... )
    """

    description: ClassVar[str] = "Open files where they are: on the workers of an AWS Region"

    # The names are xarray's, which finds out from them what an engine decodes.
    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: str | PathLike[str],
        *,
        region: str | None = None,
        group: str | None = None,
        mask_and_scale: bool = True,
        decode_times: bool = True,
        concat_characters: bool = True,
        decode_coords: bool = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: bool | None = None,
        decode_timedelta: bool | None = None,
    ) -> xr.Dataset:
        """Open a file, or a Zarr store whose name ends in ``.zarr``.

        Parameters
        ----------
        filename_or_obj
            Absolute path on the file system of the Region's workers. Patterns are for open_mfdataset to
            expand, which cannot see that file system: list the paths.
        region
            Region that holds it, e.g. ``us-west-2``. Required.
        group, mask_and_scale, decode_times, concat_characters, decode_coords, drop_variables, use_cftime, \
        decode_timedelta
            As :func:`xarray.open_dataset` takes them.

        Raises
        ------
        RequestError
            Without a Region, or with a path that is not absolute.
        EmptyPoolError, NotFoundError, UnavailableError
            As :func:`dask_regions.open_dataset`.

        Notes
        -----
        xarray makes the Dask keys of what it opens, from path, Region and options. A file that is written
        anew keeps its keys: results of it that are still in memory on the cluster are taken again.
        """
        options = {
            "group": group,
            "mask_and_scale": mask_and_scale,
            "decode_times": decode_times,
            "concat_characters": concat_characters,
            "decode_coords": decode_coords,
            "drop_variables": drop_variables,
            "use_cftime": use_cftime,
            "decode_timedelta": decode_timedelta,
        }
        source = _source(filename_or_obj, region, options)
        if process_region() not in (None, source.region):
            raise RequestError(
                "parallel",
                f"{source.path} is opened by a worker of {region} already; open it with parallel=False",
            )
        return open_source(source)


def _source(path: str | PathLike[str], region: str | None, options: dict[str, Any]) -> Source:
    if not region:
        raise RequestError("region", "name the Region that holds the file, e.g. region='us-west-2'")
    try:
        absolute = PurePosixPath(fspath(path))
    except TypeError as error:
        raise RequestError("filename_or_obj", f"{path!r:.100} is no path; open it without engine") from error
    if not absolute.is_absolute():
        raise RequestError(
            "filename_or_obj",
            f"{str(absolute)!r} is no absolute path; write it as the workers of the Region see it",
        )
    if isinstance(options["drop_variables"], Iterable) and not isinstance(options["drop_variables"], str):
        options["drop_variables"] = tuple(options["drop_variables"])
    given = tuple((name, value) for name, value in options.items() if value is not None)
    return Source(region, str(absolute), "", absolute.suffix == ".zarr", options=given)
