"""The project as it was at an earlier commit, to show what has changed since."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

__all__ = ["MissingHistoryError", "extract"]

_ROOT = Path(__file__).parents[2]


class MissingHistoryError(Exception):
    """This clone does not hold the commit: a shallow one begins later."""


def extract(commit: str, directory: Path) -> Path:
    """Write the files of a commit into a directory, and return it.

    Raises
    ------
    MissingHistoryError
        The clone has no such commit; ``git fetch --unshallow`` brings it.
    """
    command = ["git", "-C", str(_ROOT), "archive", "--format=tar", commit]
    process = subprocess.run(command, capture_output=True, check=False)
    if process.returncode:
        reason = process.stderr.decode().strip()
        raise MissingHistoryError(f"no commit {commit} in this clone (git fetch --unshallow): {reason}")
    with tarfile.open(fileobj=io.BytesIO(process.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return directory
