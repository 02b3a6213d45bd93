"""What the environment says, read in one place.

An explicit argument beats the environment, and the environment beats the default. An empty
variable counts as absent, because templates cannot leave one out.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dask_regions.errors import ConfigurationError

__all__ = ["Settings", "environment", "set_default"]

_VARIABLES = {
    "system_name": "SYSTEM_NAME",
    "datasets_file": "DATASETS_FILE",
    "catalog_url": "CATALOG_URL",
    "staging_bucket": "STAGING_BUCKET",
    "scheduler_url": "SCHEDULER_URL",
    "scheduler_secret": "SCHEDULER_SECRET",
    "target_duration": "TARGET_DURATION",
    "aws_region": "AWS_REGION",
    "no_workers_timeout": "NO_WORKERS_TIMEOUT",
}


@dataclass(frozen=True)
class Settings:
    """Settings of one process, each from the environment variable of the same name in capitals.

    Attributes
    ----------
    system_name
        Name of the system; default ``dask-regions``.
    datasets_file
        Path of ``datasets.yaml``.
    catalog_url
        Where the catalog is, e.g. ``sqlite:////mnt/catalog/catalog.sqlite``.
    staging_bucket
        Bucket through which the steps of a sync hand Items on.
    scheduler_url
        Address of the scheduler's web server, e.g. ``http://scheduler.internal:8787``.
    scheduler_secret
        Id of the secret that holds the scheduler's bearer token.
    target_duration
        Seconds in which a pool should finish the work it has; default 90.
    aws_region
        Region of this process.
    no_workers_timeout
        Seconds that a task waits for an empty pool before it fails; default 600.
    """

    system_name: str = "dask-regions"
    datasets_file: Path | None = None
    catalog_url: str | None = None
    staging_bucket: str | None = None
    scheduler_url: str | None = None
    scheduler_secret: str | None = None
    target_duration: float = 90.0
    aws_region: str | None = None
    no_workers_timeout: float = 600.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **explicit: Any) -> Settings:
        """Read the environment.

        Parameters
        ----------
        environ
            The variables; the process's own by default.
        **explicit
            Values by field name; they beat the environment, unless None.

        Raises
        ------
        ConfigurationError
            One line for every variable whose value is wrong.
        """
        variables = os.environ if environ is None else environ
        values: dict[str, Any] = {
            field: variables[name] for field, name in _VARIABLES.items() if variables.get(name)
        }
        values |= {field: value for field, value in explicit.items() if value is not None}
        problems = []
        for field, check in _CHECKS.items():
            if field not in values:
                continue
            try:
                values[field] = check(values[field])
            except ValueError as error:
                variable = f"{_VARIABLES[field]}={values[field]!r}"
                problems.append(f"{variable}: {error}; correct this environment variable")
        if problems:
            raise ConfigurationError(*problems)
        return cls(**values)

    def require(self, field: str) -> str:
        """Return a setting that must be there.

        Raises
        ------
        ConfigurationError
            Where it is absent; the message names the environment variable to set.

        Examples
        --------
        >>> Settings(catalog_url="sqlite:////mnt/catalog/catalog.sqlite").require("catalog_url")
        'sqlite:////mnt/catalog/catalog.sqlite'
        """
        value = getattr(self, field)
        if value is None:
            raise ConfigurationError(f"{_VARIABLES[field]} is not set; set this environment variable")
        return str(value)


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", value):
        raise ValueError("must be up to 40 small letters, digits and hyphens, a letter first")
    return value


def _seconds(value: str | float) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError("must be a number of seconds above 0")
    return seconds


# By hand: every function imports this module, and pydantic would be two fifths of what a search imports.
_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "system_name": _name,
    "datasets_file": Path,
    "target_duration": _seconds,
    "no_workers_timeout": _seconds,
}


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables of this process for a while; children that start meanwhile get them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def set_default(**variables: str) -> None:
    """Set environment variables of this process that are not set."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
