"""The house itself: files and rooms of a size that one can hold in mind, names that say what a thing is."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 400
MAX_MODULES_ON_A_LEVEL = 12
FOLDERS = ("layers", "local", "functions", "tests", "testing", "benchmarks", "tools")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PACKAGES = [
    ROOT / package
    for package in (
        "layers/dask_regions/src/dask_regions",
        "local/src/dask_regions_local",
        "benchmarks",
        "testing",
    )
]

#: Names that say how a value came, not what it is.
EMPTY_NAMES = {"found", "one", "told", "held", "again", "torn", "dealt", "like"}


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def names_given(tree: ast.AST) -> set[str]:
    """Names of variables and parameters that a module makes."""
    variables = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return variables | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}


def test_there_are_files() -> None:
    assert len(FILES) > 300


@pytest.mark.parametrize("path", FILES, ids=place)
def test_a_file_is_short_and_its_variables_are_named_for_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_LINES, "find the second idea in it, and give that a module of its own"
    assert names_given(ast.parse(text)) & EMPTY_NAMES == set(), "name it for what it is"


def test_no_package_has_more_modules_on_one_level_than_one_can_hold_in_mind() -> None:
    modules = Counter(
        path.parent
        for package in PACKAGES
        for path in package.rglob("*.py")
        if path.name not in {"__init__.py", "__main__.py"}
    )
    crowded = {place(folder): number for folder, number in modules.items() if number > MAX_MODULES_ON_A_LEVEL}
    assert crowded == {}, "make a sub-package of those that belong together"


def test_an_empty_name_is_noticed() -> None:
    tree = ast.parse("def f(held):\n    for one in held:\n        found = one\n")
    assert names_given(tree) & EMPTY_NAMES == {"held", "one", "found"}
