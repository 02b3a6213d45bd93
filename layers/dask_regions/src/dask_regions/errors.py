"""One error tree, grouped by what the caller can do about it.

Every message says what is wrong and how to mend it; causes are chained with ``raise ... from``.
"""

from __future__ import annotations

__all__ = [
    "BudgetError",
    "ConfigurationError",
    "DaskRegionsError",
    "EmptyPoolError",
    "NotFoundError",
    "RequestError",
    "UnavailableError",
    "WrongRegionError",
]


class DaskRegionsError(Exception):
    """Base of every error that dask-regions raises on purpose."""


class ConfigurationError(DaskRegionsError):
    """The configuration is wrong: change the file or the environment variable that is named.

    Parameters
    ----------
    problems
        One line per mistake, each ``file:line: what is wrong; how to mend it``.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RequestError(DaskRegionsError):
    """The request is wrong: change the parameter that is named.

    Parameters
    ----------
    parameter
        Name of the offending parameter as the caller wrote it, e.g. ``bbox``.
    message
        What is wrong with it, and what would be right.
    """

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(f"{parameter}: {message}")
        self.parameter = parameter


class NotFoundError(DaskRegionsError):
    """What was asked for does not exist: ask for something that does."""


class UnavailableError(DaskRegionsError):
    """Something that is needed does not answer now: wait, or start it, and try again."""


class WrongRegionError(DaskRegionsError):
    """A task tried to read or write the data of another Region: a hole in placement, please report it.

    Parameters
    ----------
    data
        Region that holds the data, e.g. ``us-west-2``.
    worker
        Region of the process that tried.
    what
        The dataset or variable that would have been read or written.
    verb
        ``read`` or ``written``.
    """

    def __init__(self, data: str, worker: str, what: str, verb: str = "read") -> None:
        super().__init__(data, worker, what, verb)  # args stay picklable: the error travels to the client
        self.data, self.worker, self.what, self.verb = data, worker, what, verb

    def __str__(self) -> str:
        how = "Open it with dask_regions.open_dataset, or as Dask arrays (chunks={}),"
        if self.verb == "written":
            how = "Make Dask arrays of what is written (dataset.chunk())"
        return (
            f"{self.what} is in Region {self.data} and was about to be {self.verb} in Region {self.worker}; "
            f"nothing was {self.verb}. {how} and compute it with a client "
            f"from dask_regions.connect, so that the scheduler places the task in {self.data}."
        )


class EmptyPoolError(DaskRegionsError):
    """A Region's pool has no workers: scale it, then compute again."""


class BudgetError(DaskRegionsError):
    """A computation would move more between Regions than its budget: reduce first what is named.

    Parameters
    ----------
    message
        What is expected, the limit, and where to reduce first.
    plan
        The ``dask_regions.client.plan.Plan`` that was refused, to look at.
    """

    def __init__(self, message: str, plan: object = None) -> None:
        super().__init__(message)
        self.plan = plan
