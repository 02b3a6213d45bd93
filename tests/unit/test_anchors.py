"""Nothing points at a line of another library's source: with its next release, the line is another one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SUFFIXES = {".py", ".md", ".yaml", ".toml", ".html", ".ipynb", ".json", ""}
_ANCHOR = re.compile(
    r"[\w/.-]*\w\.(?:py|pyx|pyi|js|ts|java|rs)(?::\d+|`*,? (?:line|lines) \d+)|blob/[\w./-]+#L\d+"
)


def anchors(text: str) -> list[tuple[int, str]]:
    """Return what points at a line of a source file, with the number of its own line."""
    return [(text.count("\n", 0, match.start()) + 1, match[0]) for match in _ANCHOR.finditer(text)]


def sources() -> Iterator[Path]:
    """Yield the files that people write and read, but this one."""
    for top in sorted(ROOT.iterdir()):
        if not top.name.startswith("."):
            for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
                if path.suffix in _SUFFIXES and path.is_file() and path != Path(__file__):
                    yield path


@pytest.mark.parametrize(
    "text",
    [
        "See (distributed/scheduler.py:5034, 9390).",
        "# worker.py:1710",
        "in ``distributed/worker.py``, line 12",
        "https://github.com/dask/dask/blob/main/dask/_expr.py#L974",
    ],
)
def test_a_line_of_a_file_is_seen(text: str) -> None:
    assert len(anchors(f"first\n{text}\n")) == 1
    assert anchors(f"first\n{text}\n")[0][0] == 2


@pytest.mark.parametrize(
    "text",
    [
        "``Scheduler.update_graph`` (distributed 2026.8.0)",
        "distributed/protocol/core.py, ``dumps``",
        "datasets.yaml:12: the Region is not declared",
        "plan.py: 369 lines",
    ],
)
def test_a_function_or_a_file_is_none(text: str) -> None:
    assert anchors(text) == []


def test_nothing_points_at_a_line_of_a_source_file() -> None:
    paths = list(sources())
    assert {ROOT / "CONTRIBUTING.md", ROOT / "tests" / "conftest.py"} <= set(paths)
    pointers = [
        f"{path.relative_to(ROOT)}:{line} says {anchor}"
        for path in paths
        for line, anchor in anchors(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    advice = "name the function, and the version of the library where it matters, instead of the line"
    assert not pointers, f"{advice}:\n" + "\n".join(pointers)
