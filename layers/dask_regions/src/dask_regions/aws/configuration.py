"""The configuration of a deployed system: published to the client Region, and read from there.

``datasets.yaml`` is an object of a versioned bucket of the client Region's stack; a parameter of Parameter
Store points at the version that is in force. A reader follows the pointer, so that it sees either the
version before a publication or the one after, and never a part of one.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dask_regions import config
from dask_regions.errors import ConfigurationError, NotFoundError, UnavailableError
from dask_regions.models import Configuration
from dask_regions.names import configuration_parameter
from dask_regions.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient

__all__ = ["MAX_AGE_SECONDS", "forget_configurations", "load_configuration", "publish"]

logger = logging.getLogger(__name__)

#: Age, in seconds, up to which a process uses what it has read without asking again.
MAX_AGE_SECONDS = 60.0

# A reader has the last good configuration to fall back on, so that waiting long gains nothing.
_CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
_FAILURES = (BotoCoreError, ClientError, ConfigurationError, NotFoundError)


def load_configuration(settings: Settings, max_age_seconds: float = MAX_AGE_SECONDS) -> Configuration:
    """Return the configuration that is in force.

    Parameters
    ----------
    settings
        ``datasets_file`` is read where it is set; else what was published for ``system_name`` in
        ``client_region``.
    max_age_seconds
        Age up to which a process uses what it has read; default 60. A file is read again once it has changed.

    Returns
    -------
    Configuration
        Before the first publication: the client Region alone, without pools and datasets.

    Raises
    ------
    ConfigurationError
        Where neither is set, or the file is wrong.
    UnavailableError
        Where nothing could be read yet. Once something was, it is kept when reading fails later, and its
        age is logged as a warning.
    """
    if settings.datasets_file is not None:
        return _files.load(settings.datasets_file)
    if settings.client_region is None:
        raise ConfigurationError(
            "CLIENT_REGION is not set, nor DATASETS_FILE; set the former to the Region of the client stack, "
            "or the latter to the path of datasets.yaml"
        )
    return _readers.of(settings.system_name, settings.client_region).load(max_age_seconds)


def publish(system: str, client_region: str, path: str | Path) -> str:
    """Publish ``datasets.yaml``: readers follow within a minute, and nothing restarts.

    Where two publish at once, the one that writes the pointer last wins, with its whole file. What is
    published already is not published again.

    Parameters
    ----------
    system
        Name of the system, as in the file.
    client_region
        Region of the client stack.
    path
        The file.

    Returns
    -------
    str
        The version of the object that is in force.

    Raises
    ------
    ConfigurationError
        Where the file is wrong, or of another system; nothing is changed then.
    NotFoundError
        Where the client stack is not deployed.
    UnavailableError
        Where AWS refuses, or does not answer.
    """
    file = Path(path)
    text = config.read(file)
    _require_same_system(config.parse(text, file), system, client_region, file)
    store = _Store(system, client_region)
    try:
        return store.write(text.encode())
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"{file} could not be published to {client_region}: {error}. Nothing has changed for readers; "
            "publish again"
        ) from error


def forget_configurations() -> None:
    """Make this process read anew what it has read."""
    _files.clear()
    _readers.clear()


def _require_same_system(configuration: Configuration, system: str, client_region: str, file: Path) -> None:
    if configuration.system.name != system:
        raise ConfigurationError(
            f"{file}: describes system {configuration.system.name!r}, not {system!r}; publish it to its own "
            "system, or correct 'name' under 'system'"
        )
    if configuration.client_region.name != client_region:
        raise ConfigurationError(
            f"{file}: has its client Region in {configuration.client_region.name}, not in {client_region}; "
            "publish it there, or move 'client: true'"
        )


@dataclass(frozen=True, slots=True)
class _Pointer:
    """The object that is in force; an empty ``version_id`` means the newest, if there is any."""

    bucket: str
    key: str
    version_id: str = ""


class _Store:
    """Bucket and pointer of one system."""

    def __init__(self, system: str, client_region: str) -> None:
        self._name, self._region = configuration_parameter(system), client_region
        self._ssm: SSMClient = boto3.client("ssm", region_name=client_region, config=_CLIENT_CONFIG)
        self._s3: S3Client = boto3.client("s3", region_name=client_region, config=_CLIENT_CONFIG)

    def pointer(self) -> _Pointer:
        try:
            answer = self._ssm.get_parameter(Name=self._name)
        except self._ssm.exceptions.ParameterNotFound as error:
            raise NotFoundError(
                f"{self._region} has no parameter {self._name}; deploy the client stack there first"
            ) from error
        try:
            return _Pointer(**json.loads(answer["Parameter"]["Value"]))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"parameter {self._name} in {self._region} is not what publishing leaves there; publish again"
            ) from error

    def read(self, pointer: _Pointer) -> bytes | None:
        """Return the object in force, or None where nothing was published."""
        version: dict[str, Any] = {"VersionId": pointer.version_id} if pointer.version_id else {}
        try:
            # A stack that is updated may set its parameter back; what was published is in the bucket still.
            answer = self._s3.get_object(Bucket=pointer.bucket, Key=pointer.key, **version)
        except self._s3.exceptions.NoSuchKey:
            if pointer.version_id:
                raise
            return None
        return answer["Body"].read()

    def write(self, body: bytes) -> str:
        pointer = self.pointer()
        if pointer.version_id and self.read(pointer) == body:
            return pointer.version_id
        answer = self._s3.put_object(
            Bucket=pointer.bucket, Key=pointer.key, Body=body, ContentType="application/yaml"
        )
        value = {"bucket": pointer.bucket, "key": pointer.key, "version_id": answer["VersionId"]}
        self._ssm.put_parameter(Name=self._name, Value=json.dumps(value), Type="String", Overwrite=True)
        return answer["VersionId"]


class _Reader:
    """Reads the configuration of one system, and keeps the last good one; threads may share it."""

    def __init__(self, system: str, client_region: str) -> None:
        self._system, self._region = system, client_region
        self._lock = threading.Lock()
        self._store: _Store | None = None
        self._pointer: _Pointer | None = None
        self._configuration: Configuration | None = None
        self._read_at = self._asked_at = -float("inf")

    def load(self, max_age_seconds: float) -> Configuration:
        with self._lock:
            now = monotonic()
            if self._configuration is not None and now - self._asked_at < max_age_seconds:
                return self._configuration
            self._asked_at = now
            try:
                self._configuration = self._refresh()
            except _FAILURES as error:
                return self._kept(error, now)
            self._read_at = now
            return self._configuration

    def _refresh(self) -> Configuration:
        if self._store is None:
            self._store = _Store(self._system, self._region)
        pointer = self._store.pointer()
        if self._configuration is not None and pointer.version_id and pointer == self._pointer:
            return self._configuration
        body = self._store.read(pointer)
        if body is None:
            configuration = Configuration.unpublished(self._system, self._region)
        else:
            configuration = config.parse(body.decode("utf-8", "replace"), Path(pointer.key))
        self._pointer = pointer
        return configuration

    def _kept(self, error: Exception, now: float) -> Configuration:
        if self._configuration is None:
            raise UnavailableError(
                f"the configuration of {self._system} cannot be read in {self._region}: {error}"
            ) from error
        logger.warning(
            "The configuration of %s cannot be read in %s; what was read %.0f s ago stays in force: %s",
            self._system, self._region, now - self._read_at, error,
        )  # fmt: skip
        return self._configuration


class _Readers:
    """The readers of this process, by system and client Region."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: dict[tuple[str, str], _Reader] = {}

    def of(self, system: str, client_region: str) -> _Reader:
        with self._lock:
            return self._readers.setdefault((system, client_region), _Reader(system, client_region))

    def clear(self) -> None:
        with self._lock:
            self._readers.clear()


class _Files:
    """Configurations in files, each read once until it changes."""

    def __init__(self) -> None:
        self._loaded: dict[Path, tuple[tuple[int, int], Configuration]] = {}

    def load(self, path: Path) -> Configuration:
        state = _state(path)
        if state is None:
            return config.load(path)  # which says what is wrong with the path
        known = self._loaded.get(path)
        if known is None or known[0] != state:
            self._loaded[path] = known = state, config.load(path)
        return known[1]

    def clear(self) -> None:
        self._loaded.clear()


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


_files, _readers = _Files(), _Readers()
