"""A real OpenSearch server for tests: one that is named, or one of our own for the session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.waiting import wait_until

__all__ = ["MISSING", "REQUIRED", "NoOpenSearchError", "running"]

#: Address of a server to use, e.g. http://127.0.0.1:9200; one is started where it is not set.
ADDRESS = "OPENSEARCH_URL"
#: Set where leaving these tests out is an error.
REQUIRED = "OPENSEARCH_REQUIRED"
#: How the reason begins why tests were left out.
MISSING = "no OpenSearch"

_ROOT = Path(__file__).parents[1]
_LIBRARIES = _ROOT / ".cache" / "opensearch"
_SERVER = _ROOT / "tools" / "opensearch" / "Server.java"
_STOP_SECONDS = 30


class NoOpenSearchError(Exception):
    """There is no server and none can be started."""


@contextmanager
def running(heap: str = "512m", *options: str) -> Iterator[str]:
    """Yield the address of a server; one that was started here is stopped, and its data are deleted.

    Parameters
    ----------
    heap
        Memory of Java's, of a server that is started here.
    options
        More for ``java``.

    Raises
    ------
    NoOpenSearchError
        Where Java or the libraries are missing.
    """
    if address := os.environ.get(ADDRESS):
        yield address.rstrip("/")
        return
    if shutil.which("java") is None or not (_LIBRARIES / ".fetched").exists():
        raise NoOpenSearchError(f"{MISSING}: 'tools/opensearch/fetch .cache/opensearch' tells why")
    with tempfile.TemporaryDirectory(prefix="dask-regions-opensearch-") as directory:
        port = _free_port()
        command = ["java", f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseSerialGC", *options]
        command += ["-cp", f"{_LIBRARIES}/*"]
        log = Path(directory, "log")
        with (
            log.open("wb") as errors,
            subprocess.Popen(
                [*command, str(_SERVER), f"{directory}/node", str(port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=directory,
            ) as process,
        ):
            try:
                _wait(process, log)
                yield f"http://127.0.0.1:{port}"
            finally:
                _stop(process)


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    """Read what the server prints until it is ready, and go on reading so that it never has to wait."""
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            # The server's log comes before what it prints.
            if line.rstrip().endswith(b"ready"):
                ready.set()

    threading.Thread(target=read, daemon=True).start()

    def told() -> str:
        return f"OpenSearch's start: {log.read_text(errors='replace')[-3000:]}"

    wait_until(lambda: ready.is_set() or process.poll() is not None, told)
    if not ready.is_set():
        raise RuntimeError(told())


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
