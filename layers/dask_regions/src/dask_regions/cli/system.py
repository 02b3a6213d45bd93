"""Which system the commands act on: the local one where it runs, else the one in AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dask_regions.config import load
from dask_regions.errors import NotFoundError
from dask_regions.local_state import LocalState, read_state
from dask_regions.models import Configuration, Pool
from dask_regions.settings import Settings, environment

__all__ = ["Options", "System", "pool_of"]

#: boto3 wants credentials also where nobody checks them.
_NO_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


@dataclass(frozen=True)
class Options:
    """The options that stand before the command's name.

    Attributes
    ----------
    local
        State directory of the local system.
    aws
        Act on the system in AWS even where a local one runs.
    """

    local: Path
    aws: bool = False


@dataclass(frozen=True)
class System:
    """The system to act on.

    Attributes
    ----------
    settings
        From the environment; for a local system with its own addresses.
    local
        The local system, or None for the one in AWS.
    """

    settings: Settings
    local: LocalState | None

    @classmethod
    def find(cls, options: Options) -> System:
        """Return the local system if one runs, else the system in AWS."""
        local = None if options.aws else read_state(options.local)
        if local is None:
            return cls(Settings.from_environment(), None)
        url = urlsplit(local.dashboard_url)
        settings = Settings.from_environment(
            datasets_file=local.datasets_file, scheduler_url=f"{url.scheme}://{url.netloc}"
        )
        return cls(settings, local)

    def configuration(self, file: Path | None = None) -> Configuration:
        """Load ``datasets.yaml``: as given, as the environment says, or in the current directory."""
        return load(file or self.settings.datasets_file or "datasets.yaml")

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Let AWS clients that are made inside talk to this system."""
        if self.local is None:
            yield
            return
        changes = {
            "AWS_ENDPOINT_URL": self.local.aws_endpoint,
            "AWS_DEFAULT_REGION": self.local.client_region,
            **_NO_CREDENTIALS,
        }
        with environment(**changes):
            yield


def pool_of(configuration: Configuration, region: str) -> Pool:
    """Return the bounds of a Region's pool.

    Raises
    ------
    NotFoundError
        Where the Region has none; the message names those that have one.
    """
    try:
        return configuration.pools[region]
    except KeyError as error:
        raise NotFoundError(
            f"{region} is no Region with a pool; datasets.yaml has {', '.join(configuration.pools) or 'none'}"
        ) from error
