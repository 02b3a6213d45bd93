"""Decide where the tasks of a graph run. Pure: no scheduler, no worker, no I/O."""
