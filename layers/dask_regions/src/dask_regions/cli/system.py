"""Which system the commands act on: the local one where it runs, else the one in AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from dask_regions.config import load
from dask_regions.errors import ConfigurationError
from dask_regions.models import Configuration
from dask_regions.settings import Settings, environment

__all__ = ["LocalSystemFile", "Options", "System"]

#: boto3 wants credentials also where nobody checks them.
_NO_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


class LocalSystemFile(BaseModel):
    """What a running local system says about itself in ``system.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    api_url: str
    scheduler_address: str
    dashboard_url: str
    aws_endpoint: str
    client_region: str
    datasets_file: Path


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
    local: LocalSystemFile | None

    @classmethod
    def find(cls, options: Options) -> System:
        """Return the local system if one runs, else the system in AWS."""
        local = None if options.aws else _running(options.local)
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


def _running(directory: Path) -> LocalSystemFile | None:
    file = directory / "system.json"
    try:
        found = LocalSystemFile.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, ValidationError) as error:
        raise ConfigurationError(
            f"{file}:1: does not describe a local system; remove it and run `dask-regions local` again"
        ) from error
    return found if _is_alive(found.pid) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it exists, and belongs to someone else
    return True
