"""Patterns of CQL2's ``like``: ``%`` stands for any characters, ``_`` for one, a backslash escapes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["characters", "escape", "regular_expression"]


def characters(pattern: str) -> Iterator[tuple[str, bool]]:
    r"""Yield the characters of a pattern, each with whether it is a wildcard; a last backslash is nothing.

    Examples
    --------
    >>> list(characters(r"a\%%"))
    [('a', False), ('%', False), ('%', True)]
    """
    escaped = False
    for character in pattern:
        if not escaped and character == "\\":
            escaped = True
        else:
            yield character, not escaped and character in "%_"
            escaped = False


def escape(text: str) -> str:
    """Return the pattern that means the text itself."""
    return re.sub(r"([\\%_])", r"\\\1", text)


@lru_cache(maxsize=64)
def regular_expression(pattern: str) -> re.Pattern[str]:
    """Return a pattern as a regular expression to match all of a text with, in linear time."""
    pieces = [""]
    for character, wildcard in characters(pattern):
        if wildcard and character == "%":
            pieces.append("")
        else:
            pieces[-1] += "." if wildcard else re.escape(character)
    first, *rest = pieces
    # The first place where a piece fits is as good as any: without going back, time stays linear.
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return re.compile(first + middle + (f".*{rest[-1]}" if rest else ""), re.DOTALL)
