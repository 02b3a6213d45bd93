"""``python -m dask_regions.cli``, where the command itself is not on PATH."""

from __future__ import annotations

from dask_regions.cli.main import main

main(prog_name="dask-regions")
