"""Bring a system up in an account, change it, and take it down: what the commands of that name do.

What is to be done is decided by pure functions (``samconfig``, ``states``, ``quotas``,
``images.replication``); ``bringing_up`` and ``taking_down`` do it through
:mod:`dask_regions.aws.deployment` and the command ``sam``.
"""
