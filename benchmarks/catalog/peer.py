"""The peer: stac-fastapi-opensearch in an environment of its own, with its documented settings."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.catalog.items import COLLECTIONS, Archive

__all__ = ["SETTINGS", "install", "load", "packages", "serving", "version"]

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_REQUIREMENTS = _HERE / "peer.txt"
_START_SECONDS = 120.0

_DATE = {"type": "date"}
_MAPPINGS = {
    "properties": {
        "properties": {
            "properties": {
                # Its own choice, date_nanos, cannot hold years before 1970.
                "datetime": _DATE,
                "start_datetime": _DATE,
                "end_datetime": _DATE,
                # As its README advises; else each variable's name becomes a field of the index.
                "cube:dimensions": {"type": "object", "enabled": False},
                "cube:variables": {"type": "object", "enabled": False},
                "storage:schemes": {"type": "object", "enabled": False},
            }
        }
    }
}
#: Environment variables; all are in its README.
SETTINGS = {
    "DATABASE_REFRESH": "false",
    # Its fastest mode: without FastAPI's dependencies and validation of answers.
    "ENABLE_DIRECT_RESPONSE": "true",
    "ENABLE_TRANSACTIONS_EXTENSIONS": "false",
    "ES_USE_SSL": "false",
    "ES_VERIFY_CERTS": "false",
    "STAC_FASTAPI_ES_CUSTOM_MAPPINGS": json.dumps(_MAPPINGS, separators=(",", ":")),
    # All Items are intervals: fewer conditions for the same result.
    "USE_DATETIME": "false",
    "USE_DATETIME_NANOS": "false",
}


def install() -> Path:
    """Return the directory of the peer's environment, below ``.cache``; it is made unless it is there."""
    digest = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    directory = _ROOT / ".cache" / "catalog" / f"peer-{digest}"
    if not (directory / "complete").exists():
        python = str(directory / "bin" / "python")
        create = ["venv", "--quiet", "--clear", "--python", sys.executable, str(directory)]
        fill = [
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            python,
            "-r",
            str(_REQUIREMENTS),
        ]
        for arguments in (create, fill):
            subprocess.run([_uv(), *arguments], check=True)
        (directory / "complete").touch()
    return directory


def version() -> str:
    """Return the peer's version, as pinned."""
    lines = _REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    pinned = next(line for line in lines if line.startswith("stac-fastapi-opensearch=="))
    return pinned.partition("==")[2].split()[0]


def _uv() -> str:
    pinned = sorted(_ROOT.glob(".uv/*/bin/uv"))
    uv = os.environ.get("UV") or (str(pinned[-1]) if pinned else shutil.which("uv"))
    if not uv:
        raise RuntimeError("uv was not found; run `make .venv/all`, which installs it, or set UV to its path")
    return uv


def packages(directory: Path) -> Path:
    """Return the directory of an environment that holds its packages."""
    return next(directory.glob("lib/python3.*/site-packages"))


def load(opensearch: str, archive: Archive) -> None:
    """Load all Items, merged as ours answers with them."""
    command = [install() / "bin" / "python", _HERE / "peer_load.py"]
    with subprocess.Popen(
        command, env=_environment(opensearch), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for collection in COLLECTIONS:
            process.stdin.write(json.dumps(_collection(collection)) + "\n")
        process.stdin.write("\n")
        for item in archive.merged():
            process.stdin.write(json.dumps(item, separators=(",", ":")) + "\n")
        process.stdin.close()
        loaded = process.stdout.read().strip()
    if process.returncode or int(loaded) != archive.count:
        raise RuntimeError(f"the peer loaded {loaded or 'none'} of {archive.count} Items")


def _collection(collection: str) -> dict[str, Any]:
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": collection,
        "title": collection,
        "description": "Synthetic Items",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]},
            "temporal": {"interval": [["1850-01-01T00:00:00Z", None]]},
        },
        "links": [],
    }


@contextmanager
def serving(opensearch: str, workers: int, log: Path) -> Iterator[str]:
    """Run the peer under uvicorn.

    Parameters
    ----------
    opensearch
        Address of the server.
    workers
        Processes, each of which answers any number of requests at once.
    log
        Of the processes.

    Yields
    ------
    str
        Where it answers.
    """
    port = _free_port()
    command = [str(install() / "bin" / "uvicorn"), "stac_fastapi.opensearch.app:create_app", "--factory"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    command += ["--log-level", "warning", "--no-access-log"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=_environment(opensearch), stdout=output, stderr=output)
    try:
        _wait(process, f"http://127.0.0.1:{port}/conformance", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _environment(opensearch: str) -> dict[str, str]:
    parts = urlsplit(opensearch)
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
    return {**kept, **SETTINGS, "ES_HOST": str(parts.hostname), "ES_PORT": str(parts.port)}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  our own address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the peer did not start; {log} says why")
