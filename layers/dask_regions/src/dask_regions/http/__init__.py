"""A kit for every HTTP API of ours behind API Gateway (payload format 2.0).

An API declares its operations once, as a table of :class:`~dask_regions.http.routes.Route`; a
:class:`~dask_regions.http.dispatch.Dispatcher` answers events with it, and
:func:`dask_regions.http.openapi.document` describes it. The kit knows none of the APIs.
"""
