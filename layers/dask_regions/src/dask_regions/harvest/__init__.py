"""Read what the catalog needs to know from data in S3, without reading the data.

Start at :mod:`dask_regions.harvest.base`; a layout is a module of :mod:`dask_regions.harvest.layouts`, which
imports zarr or h5py. This package, ``base`` and ``listing`` do not, so that steps which only pass names on
stay light.
"""
