"""The scale journey: steps of the state machine ``scale_pool``, and the history of what was decided.

What the steps decide is :mod:`dask_regions.scaling`.
"""
