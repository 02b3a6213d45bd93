"""The catalog: which datasets there are, and in which Regions.

A request becomes one validated :class:`~dask_regions.catalog.asking.query.SearchQuery`; a store answers it;
:mod:`dask_regions.catalog.web.api` turns both into a STAC API. What can be searched is declared once, in
:mod:`dask_regions.catalog.queryables`.
"""
