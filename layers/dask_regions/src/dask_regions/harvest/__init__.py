"""Read what the catalog needs to know from data in S3, without reading the data.

Start at :mod:`dask_regions.harvest.base`. The modules of the layouts import zarr and h5py; this package,
``base`` and ``listing`` do not, so that steps which only pass names on stay light.
"""
