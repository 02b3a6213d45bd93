"""How a function is called."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["parameters"]


def parameters(function: Any) -> list[str]:
    """Return the names of a function's parameters."""
    return list(inspect.signature(function).parameters)
