"""The tables of what is replaced and used of Dask's insides, as ``docs/overrides.md`` shows them.

``python -m testing.overrides`` writes the page; a test compares it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from dask_regions.placement.hooks.overrides import OVERRIDES
from dask_regions.placement.hooks.private_names import PRIVATE_NAMES, STATE, PrivateName

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parents[1] / "docs" / "overrides.md"

_HEAD = """\
# Overrides of Dask

What placement replaces and uses of Dask's insides, all of it: a test fails where something else is replaced
or used. The tables are `placement/hooks/overrides.py` and `placement/hooks/private_names.py`; this page is
written from them by `.venv/bin/python -m testing.overrides`. Contract tests are below `tests/contract`.
[upstream.md](upstream.md) proposes to Dask what would make most of it unnecessary.
"""


def page() -> str:
    """Return the page in Markdown."""
    overrides = _table(
        ("replaced", "by, below `placement.hooks`", "why", "contract test", "unnecessary with"),
        (
            (f"`{row.target}`", f"`{row.module}`", row.why, _test(row.contract), row.upstream)
            for row in OVERRIDES
        ),
    )
    return "\n".join(
        (
            _HEAD,
            f"## Attributes that are replaced ({len(OVERRIDES)})\n\n{overrides}",
            f"## Private names that are used ({len(PRIVATE_NAMES)})\n\n{_names(PRIVATE_NAMES)}",
            f"## State of Dask's that is set ({len(STATE)})\n\n{_names(STATE)}",
        )
    )


def _names(rows: Iterable[PrivateName]) -> str:
    """Return a table in which rows that differ in the name alone are one."""
    groups = groupby(rows, lambda row: (row.users, row.why, row.contract, row.upstream))
    return _table(
        ("name", "used in", "why", "contract test", "unnecessary with"),
        (
            (
                ", ".join(f"`{row.target}`" for row in members),
                ", ".join(f"`{user}`" for user in users),
                why,
                _test(contract),
                upstream,
            )
            for (users, why, contract, upstream), members in groups
        ),
    )


def _test(contract: str) -> str:
    file, name = contract.split("::")
    return f"`{name}` in `{file}`"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page())
