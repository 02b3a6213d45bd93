"""The main job as a notebook's kernel runs it, in a container of the images: ``main_job.py SCHEDULER FILE``.

It writes the result to a NetCDF file, and prints as JSON how often which Region read which Region's data.
"""

from __future__ import annotations

import json
import sys

import xarray as xr

import dask_regions
from dask_regions_local.demo import job

__all__ = ["DATA", "MOUNT", "main"]

#: Directory in which workers find their Region's file system.
MOUNT = "/fsx"
#: Region to the file or store that it holds, and to the scenario in it.
DATA = {"us-west-2": ("air.zarr", "A1B"), "us-east-1": ("air.nc", "E1")}


def main(address: str, file: str) -> None:
    """Compute the main job on the cluster of a scheduler."""
    with dask_regions.connect(address) as client:
        datasets = {
            scenario: xr.open_dataset(f"{MOUNT}/{name}", engine="dask-regions", region=region, chunks={})
            for region, (name, scenario) in DATA.items()
        }
        lazy = job.compute(*(datasets[scenario] for scenario in job.SCENARIOS))
        with dask_regions.transfers(client) as moved:
            lazy.compute().to_netcdf(file, engine="h5netcdf")
    reads = [[holder, reader, count] for (holder, reader), count in moved.reads.items()]
    sys.stdout.write(json.dumps(reads) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
