"""How long a search may take, and what its caller is told when it took longer."""

from __future__ import annotations

from dask_regions.catalog.asking.parameters import TABLE
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.errors import RequestError, UnavailableError

__all__ = ["SEARCH_SECONDS", "too_slow"]

#: An engine stops a search after this. It is less than the engine's client and Lambda wait: nobody would get
#: the answer, and the engine would work on it still.
SEARCH_SECONDS = 15


_COSTLY = [parameter.name for parameter in reversed(TABLE) if parameter.costly]


def too_slow(query: SearchQuery, seconds: float) -> RequestError | UnavailableError:
    """Return the error of a search that was stopped: it names the parameter that can make it cheaper.

    Parameters
    ----------
    seconds
        How long it was let run.
    """
    costly = next((name for name in _COSTLY if getattr(query, name) is not None), None)
    if costly is None:
        return UnavailableError(f"the search took longer than {seconds:.0f} s and was stopped; try again")
    return RequestError(
        costly, f"took longer than {seconds:.0f} s to search for, and was stopped; give it fewer conditions"
    )
