"""Join the networks of a system's Regions, and take Regions out: observe, plan, apply, and look again.

:mod:`dask_regions.join.planning` is pure; :mod:`dask_regions.join.rounds` runs one round, for the state
machine ``join_regions``, or several, for the command.
"""
