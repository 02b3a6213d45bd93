"""Read what the catalog needs to know from data in S3, without reading the data.

Start at :func:`dask_regions.harvest.base.harvest`. The modules of the layouts import zarr and h5py;
this package and its ``base`` do not, so that steps which only pass names on stay light.
"""
