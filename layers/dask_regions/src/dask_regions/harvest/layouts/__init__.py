"""Layouts: how the keys of a bucket name datasets, one class of each kind.

A layout is a :class:`~dask_regions.harvest.base.Harvester`, registered by its name in
:data:`~dask_regions.harvest.base.HARVESTERS` and declared in :data:`~dask_regions.models.Layout`. These
modules import zarr or h5py.
"""
