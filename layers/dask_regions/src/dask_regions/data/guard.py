"""The guard: it knows in which Region this process is, and refuses to touch data of another.

A task in the wrong place would read terabytes over a wide-area network, or see an empty directory where
another Region has a file system. So on a worker every read and write of marked data passes here; what
little a notebook may have forwarded is decided in ``data/store.py``.
"""

from __future__ import annotations

from dask_regions.errors import WrongRegionError
from dask_regions.settings import Settings

__all__ = ["check_region", "enter_region", "process_region", "refusal"]

_entered: str | None = None


def enter_region(region: str | None) -> None:
    """Declare the Region of this process; its worker's preload does so. None takes it back."""
    global _entered
    _entered = region


def process_region() -> str | None:
    """Return the Region that this process was declared to be in, or None outside a pool's worker."""
    return _entered


def check_region(region: str, what: str, verb: str = "read") -> None:
    """Refuse to read (or what ``verb`` says) data of another Region than this process is in.

    Raises
    ------
    WrongRegionError
        In another Region, and in any process that is no worker of a pool: a notebook sees no file
        system, even where it runs in the same Region.
    """
    if _entered != region:
        raise refusal(region, what, verb)


def refusal(region: str, what: str, verb: str) -> WrongRegionError:
    """Return the error for data of a Region that this process must not read, or what ``verb`` says."""
    here = _entered or f"{Settings.from_environment().aws_region or 'unknown'} (not a pool's worker)"
    return WrongRegionError(region, here, what, verb)
