"""What EC2 instance types offer to an ECS task.

Not proven here: that a Region has the type, or capacity of it. The table covers families of one vCPU to so
many GiB (c, m, r) with the usual sizes; of any other type nothing is known, and nothing refused.
"""

from __future__ import annotations

__all__ = ["capacity"]

_GIB_PER_VCPU = {"c": 2, "m": 4, "r": 8}
_VCPUS = {"large": 2, "xlarge": 4}
#: Fraction of an instance's memory that its agent registers; the kernel and the agent keep the rest ("Amazon
#: ECS Linux container instance memory": an instance of 8192 MiB registers 7,8xx).
_REGISTERED_FRACTION = 0.96


def capacity(instance_type: str) -> tuple[int, int] | None:
    """Return the CPU units and the MiB that an instance registers with ECS, or None where it is not known."""
    family, _, size = instance_type.partition(".")
    per_vcpu = _GIB_PER_VCPU.get(family[:1])
    vcpus = _VCPUS.get(size) or 4 * int(size.removesuffix("xlarge") or 0) if size.endswith("large") else None
    if not per_vcpu or not vcpus:
        return None
    return vcpus * 1024, int(vcpus * per_vcpu * 1024 * _REGISTERED_FRACTION)
