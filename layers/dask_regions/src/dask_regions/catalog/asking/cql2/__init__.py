"""Filters in CQL2, text and JSON, made conditions of :mod:`dask_regions.catalog.expression`."""
