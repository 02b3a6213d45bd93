"""How plans and reports write sizes, prices and tables: one way everywhere."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

__all__ = ["html_paragraphs", "html_table", "money", "size", "table"]

_PREFIXES = ("B", "kB", "MB", "GB", "TB", "PB")


def size(nbytes: float) -> str:
    """Return bytes as text, three digits in decimal units (1 kB is 1,000 bytes, as AWS bills them).

    Examples
    --------
    >>> size(999), size(17_060), size(3_480_000)
    ('999 B', '17.1 kB', '3.48 MB')
    """
    power = 0
    # 999.5 kB would round to 1000 kB.
    while nbytes >= 999.5 and power < len(_PREFIXES) - 1:
        nbytes /= 1000
        power += 1
    digits = 0 if power == 0 or nbytes >= 99.95 else 1 if nbytes >= 9.995 else 2
    return f"{nbytes:.{digits}f} {_PREFIXES[power]}"


def money(dollars: float) -> str:
    """Return US dollars as text: cents, two digits of what is less than ten cents, down to $0.0001.

    Examples
    --------
    >>> money(12.344), money(0.00257), money(0.0000257), money(0)
    ('$12.34', '$0.0026', 'under $0.0001', '$0')
    """
    if dollars <= 0:
        return "$0"
    if dollars < 0.0001:
        return "under $0.0001"
    digits = 2 if dollars >= 0.0995 else 1 - math.floor(math.log10(dollars))
    return f"${dollars:,.{digits}f}"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with aligned columns: the first row is the head; columns of figures end aligned.

    Examples
    --------
    >>> table([("Region", "tasks"), ("us-east-1", "7")])
    ['Region     tasks', 'us-east-1      7']
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    figures = [any(map(_is_figure, column[1:])) for column in columns]
    return [
        "  ".join(
            f"{cell:>{width}}" if figure else f"{cell:<{width}}"
            for cell, width, figure in zip(row, widths, figures, strict=True)
        ).rstrip()
        for row in rows
    ]


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """Return the same table in HTML, its cells escaped."""
    head, *body = ([html.escape(cell) for cell in row] for row in rows)
    header = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{lines}</tbody></table>"


def html_paragraphs(sentences: Iterable[str]) -> str:
    """Return sentences as paragraphs, escaped."""
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)


def _is_figure(cell: str) -> bool:
    return cell.removeprefix("under ").lstrip("$")[:1].isdigit()
