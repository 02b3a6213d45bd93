"""Who reaches whom, computed from what an account describes: routes, security groups, names.

It shares no code with ``dask_regions.join``, which makes the routes: one mistake in both would prove nothing.
"""

from testing.deployment.reachability.check import violations
from testing.deployment.reachability.facts import Facts, read
from testing.deployment.reachability.mutations import mutations

__all__ = ["Facts", "mutations", "read", "violations"]
