"""Build the Lambda layers and the runtime for this machine's Python, once per content."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dask_regions.errors import UnavailableError
from dask_regions_local.settings import Settings

__all__ = ["build_layer", "build_runtime"]

#: The layers of this process, and the descriptors that hold a lock on each.
_used: dict[Path, int] = {}


def build_layer(name: str, source: Path, root: Path) -> Path:
    """Build a layer with its Makefile, unless the cache has it, and return its directory.

    Parameters
    ----------
    name
        Logical id; the Makefile's target is ``build-<name>``, as in ``sam build``.
    source
        The layer's ``ContentUri``.
    root
        Root of the repository: its ``uv.lock`` is part of the content, its ``.cache`` keeps the result.

    Raises
    ------
    UnavailableError
        Where the build fails; the message has its last lines.
    """
    cache = (root / ".cache" / "layers").resolve()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return _cached(name, source, root, cache)
    except OSError as error:
        raise UnavailableError(
            f"layer {name} could not be built below {cache} ({error}); make room there, let this user "
            "write to it, and install make"
        ) from error


def _cached(name: str, source: Path, root: Path, cache: Path) -> Path:
    layer = cache / f"{name}-{_digest(source, root / 'uv.lock')}"
    with (cache / f"{name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not layer.is_dir():
            _make(name, source, root, layer)
            for old in cache.glob(f"{name}-*"):
                if old != layer:
                    _remove_unused(old)
        _use(layer)
    return layer


def _use(layer: Path) -> None:
    """Keep a layer from being removed for as long as this process runs."""
    if layer not in _used:
        _used[layer] = os.open(layer, os.O_RDONLY)
        fcntl.flock(_used[layer], fcntl.LOCK_SH)


def _remove_unused(layer: Path) -> None:
    """Remove a layer, unless a system that runs somewhere else uses it."""
    descriptor = os.open(layer, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(layer, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _make(name: str, source: Path, root: Path, layer: Path) -> None:
    with tempfile.TemporaryDirectory(dir=layer.parent, prefix=f".{name}-") as directory:
        artifacts = Path(directory, "artifacts")
        artifacts.mkdir()
        variables = {
            "ARTIFACTS_DIR": str(artifacts),
            "PYTHON_VERSION": f"{sys.version_info.major}.{sys.version_info.minor}",
            "PLATFORM": "local",
            "UV": _uv(root),
        }
        command = ["make", f"build-{name}", *(f"{key}={value}" for key, value in variables.items())]
        result = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
        if result.returncode:
            tail = " / ".join(result.stderr.splitlines()[-3:])
            raise UnavailableError(
                f"layer {name} could not be built: {tail}; to see why, run `{shlex.join(command)}` "
                f"in {source}"
            )
        artifacts.rename(layer)


def _digest(source: Path, lock: Path) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]} {platform.platform()}".encode())
    for path in _contents(source, lock):
        name = path.relative_to(source) if path.is_relative_to(source) else path.name
        digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _contents(source: Path, lock: Path) -> Iterator[Path]:
    yield from (path for path in (lock,) if path.exists())
    files = (path for path in sorted(source.rglob("*")) if path.is_file())
    yield from (path for path in files if "__pycache__" not in path.parts and ".egg-info" not in str(path))


def _uv(root: Path) -> str:
    pinned = sorted(root.glob(".uv/**/bin/uv"))
    uv = Settings.from_environment().uv or (str(pinned[-1]) if pinned else shutil.which("uv"))
    if not uv:
        raise UnavailableError("uv was not found; run `make demo`, which installs it, or set UV to its path")
    return uv


def build_runtime(directory: Path) -> Path:
    """Link the Lambda runtime client, and nothing else of this environment, into a directory.

    It stands for what the Lambda service adds to a function's path.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name in ("awslambdaric", "simplejson", "snapshot-restore-py"):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (directory / top).symlink_to(Path(str(distribution.locate_file(top))))
    return directory
