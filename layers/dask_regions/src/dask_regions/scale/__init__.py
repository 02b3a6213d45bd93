"""The steps of the state machine ``scale_pool``; what they decide is :mod:`dask_regions.scaling`."""
