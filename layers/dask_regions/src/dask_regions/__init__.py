"""One Dask cluster across AWS Regions.

What a scientist calls is imported on first use, so that Lambda functions can import the package
without Dask or xarray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dask_regions.client.compute import compute
    from dask_regions.client.connect import connect
    from dask_regions.client.open import open_dataset
    from dask_regions.client.plan import plan
    from dask_regions.client.store import store
    from dask_regions.client.transfers import transfers

__all__ = ["__version__", "compute", "connect", "open_dataset", "plan", "store", "transfers"]

__version__ = "0.1.0"

_MODULES = {
    "compute": "dask_regions.client.compute",
    "connect": "dask_regions.client.connect",
    "open_dataset": "dask_regions.client.open",
    "store": "dask_regions.client.store",
    "plan": "dask_regions.client.plan",
    "transfers": "dask_regions.client.transfers",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
