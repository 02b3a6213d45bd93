"""The command ``dask-regions``. It needs the extra ``cli``, which :mod:`dask_regions.cli.__main__` says."""
