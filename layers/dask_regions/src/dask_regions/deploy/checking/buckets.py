"""The buckets of a configuration as AWS knows them: the only check that asks AWS."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from dask_regions.aws.deployment.buckets import problem_of_bucket
from dask_regions.errors import ConfigurationError
from dask_regions.models import Configuration, Dataset

__all__ = ["check_buckets"]

_REQUESTS_AT_ONCE = 8


def check_buckets(configuration: Configuration) -> None:
    """Refuse a configuration whose buckets are elsewhere, or may not be read.

    Raises
    ------
    ConfigurationError
        One line for each copy of a dataset that cannot be read as it is declared.
    """
    copies = configuration.copies
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        looked_at = zip(copies, pool.map(problem_of_bucket, copies), strict=True)
        problems = [_line(copy, problem) for copy, problem in looked_at if problem]
    if problems:
        raise ConfigurationError(*problems)


def _line(copy: Dataset, problem: str) -> str:
    return f"datasets.yaml: dataset {copy.id!r} in {copy.region}: {problem}"
