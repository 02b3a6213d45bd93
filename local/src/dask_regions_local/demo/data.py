"""The demonstration's data, laid out as the buckets of two Regions.

Source: annual means of air temperature at 1.5 m over North America, 1860-2099, of the Met Office
Unified Model (HadGEM2-AO) under the emission scenarios A1B and E1, as the package
``iris-sample-data`` distributes them. (c) Crown copyright, Met Office; Open Government Licence v3.0.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import iris_sample_data
import xarray as xr

from dask_regions.config import load
from dask_regions.models import Dataset
from dask_regions_local.emulator.processes.lifecycle import writable
from dask_regions_local.settings import DATASETS, ROOT

__all__ = ["ATTRIBUTION", "bucket_directory", "make", "source"]

ATTRIBUTION = (
    "Data: Met Office Unified Model (HadGEM2-AO), from iris-sample-data. "
    "© Crown copyright, Met Office; Open Government Licence v3.0."
)

_YEARS_PER_CHUNK = 10
#: Path of a store below the dataset's prefix:
#: activity/institution/source/experiment/member/table/variable/grid/version.
_STORE = "ENSEMBLES/MOHC/HadGEM2-AO/{scenario}/r1i1p1f1/Ayr/air_temperature/gn/v20110101"


def source(scenario: str) -> xr.Dataset:
    """Open what the package distributes for one scenario.

    Parameters
    ----------
    scenario
        ``A1B`` or ``E1``.

    Returns
    -------
    xarray.Dataset
        ``air_temperature`` in K, (time: 240, latitude: 37, longitude: 49), 360-day calendar, in memory.
    """
    file = Path(iris_sample_data.path) / f"{scenario}_north_america.nc"
    with xr.open_dataset(file, engine="h5netcdf") as dataset:
        return dataset.load()


def bucket_directory(directory: Path, dataset: Dataset) -> Path:
    """Return the directory that stands for a dataset's bucket."""
    return directory / "s3" / dataset.region / dataset.bucket


def make(directory: Path, root: Path = ROOT) -> tuple[Path, ...]:
    """Write the data of every dataset that has a ``scenario``, replicas included, unless it is there.

    Each bucket appears at once, complete: it is written beside its place and then renamed.

    Parameters
    ----------
    directory
        State directory of the local system; buckets are written below ``s3/<region>/``.
    root
        The checkout whose ``local/datasets.yaml`` says in which Region, bucket, prefix and layout a
        scenario stands.

    Raises
    ------
    UnavailableError
        Where nothing can be written into the directory.

    Returns
    -------
    tuple of Path
        The directories of the buckets, in the order of that file.
    """
    writable(directory)
    datasets = load(root / DATASETS).copies
    return tuple(_make_bucket(directory, dataset) for dataset in datasets if "scenario" in dataset.properties)


def _make_bucket(directory: Path, dataset: Dataset) -> Path:
    bucket = bucket_directory(directory, dataset)
    if bucket.exists():
        return bucket
    bucket.parent.mkdir(parents=True, exist_ok=True)
    # It is made outside s3/, which a system that starts meanwhile uploads.
    unfinished = Path(tempfile.mkdtemp(prefix="data-", dir=directory))
    try:
        scenario = str(dataset.properties["scenario"])
        _WRITERS[dataset.layout](_unencoded(source(scenario)), unfinished / dataset.prefix, scenario)
        unfinished.chmod(0o755)
        unfinished.rename(bucket)
    except OSError:
        if not bucket.exists():  # else another process was faster, with the same bytes
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return bucket


def _unencoded(dataset: xr.Dataset) -> xr.Dataset:
    """Drop how the source file was chunked and compressed; keep units and calendar of times."""
    dataset.encoding = {}
    for variable in dataset.variables.values():
        kept = {key: variable.encoding[key] for key in ("units", "calendar") if key in variable.encoding}
        variable.encoding = kept
    return dataset


def _write_store(dataset: xr.Dataset, prefix: Path, scenario: str) -> None:
    dataset.to_zarr(
        prefix / _STORE.format(scenario=scenario),
        zarr_format=2,
        consolidated=True,
        encoding={"air_temperature": {"chunks": _chunks(dataset)}},
    )


def _write_decades(dataset: xr.Dataset, prefix: Path, scenario: str) -> None:  # noqa: ARG001
    first = int(dataset.time.dt.year[0])
    for start in range(first, first + dataset.sizes["time"], _YEARS_PER_CHUNK):
        years = (dataset.time.dt.year >= start) & (dataset.time.dt.year < start + _YEARS_PER_CHUNK)
        file = prefix / f"{start:04d}" / "01" / "data" / "air_temperature.nc"
        file.parent.mkdir(parents=True)
        encoding = {"air_temperature": {"chunksizes": _chunks(dataset)}}
        dataset.isel(time=years.values.nonzero()[0]).to_netcdf(file, engine="h5netcdf", encoding=encoding)


def _chunks(dataset: xr.Dataset) -> tuple[int, int, int]:
    return _YEARS_PER_CHUNK, dataset.sizes["latitude"], dataset.sizes["longitude"]


_WRITERS: dict[str, Callable[[xr.Dataset, Path, str], None]] = {
    "cmip6": _write_store,
    "era5": _write_decades,
}
