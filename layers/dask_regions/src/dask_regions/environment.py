"""The environment that this Python runs in, named by the digest of what ``uv.lock`` gave it."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["environment_digest"]

#: File in the root of an environment, written when an image is built (``containers/Dockerfile``).
_FILE = "environment-digest"


def environment_digest(prefix: Path | None = None) -> str | None:
    """Return the digest of an environment, equal in two images exactly if all they have installed is.

    Parameters
    ----------
    prefix
        Root of the environment; by default that of this Python.

    Returns
    -------
    str or None
        SHA-256 in 64 hexadecimal digits, as ``tools/environment-digest`` prints it; None where the
        environment was not built for an image, as in a notebook or a checkout.
    """
    file = (prefix or Path(sys.prefix)) / _FILE
    try:
        return file.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
