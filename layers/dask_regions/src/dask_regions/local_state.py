"""The state directory of a local system: whether a system runs in it, and what that says of itself.

A system holds the lock on a file of its directory for as long as it runs, and the kernel releases the
lock however the system ends. The process id in ``system.json`` is no evidence: a system that was killed
leaves the file behind, and another process may have its id by now.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from dask_regions.errors import ConfigurationError

__all__ = ["LOCK_FILE", "STATE_FILE", "LocalState", "is_running", "read_state", "write_state"]

#: Name of the file on which a running system holds an exclusive ``flock``.
LOCK_FILE = "lock"
#: Name of the file that has the :class:`LocalState` of the system that runs, or ran last.
STATE_FILE = "system.json"


class LocalState(BaseModel):
    """Where the parts of a local system answer, as the system writes it into ``system.json``.

    It does not tell whether the system still runs; :func:`is_running` does.

    Attributes
    ----------
    pid
        Process id of the system, for people who want to stop it.
    api_url, scheduler_address, dashboard_url, aws_endpoint
        Addresses of the STAC API, the Dask scheduler, its dashboard, and the emulation of AWS.
    client_region
        Name of the client Region.
    datasets_file
        The copy of ``datasets.yaml`` with this machine's paths.
    regions
        Names of the worker Regions.
    state_machines
        ARN of every state machine by its logical id.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    api_url: str
    scheduler_address: str
    dashboard_url: str
    aws_endpoint: str
    client_region: str
    datasets_file: Path
    regions: tuple[str, ...] = ()
    state_machines: dict[str, str] = {}


def write_state(directory: Path, state: LocalState) -> None:
    """Write ``system.json``; who reads it meanwhile finds all of it or nothing."""
    part = directory / f"{STATE_FILE}.part"
    part.write_text(state.model_dump_json(indent=2), encoding="utf-8")
    part.replace(directory / STATE_FILE)


def is_running(directory: Path) -> bool:
    """Return whether a local system runs in a directory, or is starting or ending there."""
    try:
        with (directory / LOCK_FILE).open("rb") as lock:
            # Only Unix has the module, and a local system; elsewhere nobody makes the file.
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


def read_state(directory: Path) -> LocalState | None:
    """Return the state of the local system that runs in a directory.

    Returns
    -------
    LocalState or None
        None where no system runs, and while one that is starting has no addresses yet.

    Raises
    ------
    ConfigurationError
        Where a system runs and its file is not one that a system writes.
    """
    if not is_running(directory):
        return None
    file = directory / STATE_FILE
    try:
        return LocalState.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError) as error:
        raise ConfigurationError(
            f"{file}:1: does not describe a local system; remove it and run `dask-regions local` again"
        ) from error
