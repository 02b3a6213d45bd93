"""The words of free text, and texts without their case: alike for what is stored and what is searched for."""

from __future__ import annotations

import unicodedata
from itertools import groupby

__all__ = ["fold", "tokens"]


def tokens(text: str) -> tuple[str, ...]:
    """Return the words of a text: runs of letters and digits, without case and accents.

    Examples
    --------
    >>> tokens("Température de l'air: CMIP6.r1i1p1f2")
    ('temperature', 'de', 'l', 'air', 'cmip6', 'r1i1p1f2')
    """
    plain = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return tuple("".join(run).casefold() for word, run in groupby(plain, str.isalnum) if word)


def fold(text: str) -> str:
    """Return a text as CQL2's ``casei`` compares it: in lower case."""
    return text.lower()
