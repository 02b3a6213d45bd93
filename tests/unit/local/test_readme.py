"""What local mode's README names exists."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import moto

import dask_regions_local
from dask_regions_local.settings import ROOT

PACKAGE = Path(dask_regions_local.__file__).parent
TEXT = (ROOT / "local" / "README.md").read_text(encoding="utf-8")
MODULES = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", TEXT))


def test_every_module_that_is_named_exists() -> None:
    table = TEXT.split("## What is emulated")[1].split("\n## ")[0]
    assert len(re.findall(r"`emulator/[a-z_/]+\.py`", table)) >= 8
    assert [name for name in MODULES if not ((PACKAGE / name).exists() or (ROOT / name).exists())] == []


def test_the_version_of_moto_is_the_one_that_is_installed() -> None:
    assert re.findall(r"moto (\d[\w.]*\w)", TEXT) == [moto.__version__]


def test_the_example_imports_what_exists() -> None:
    [example] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    imports = [node for node in ast.parse(example).body if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = importlib.import_module(str(node.module))
        assert all(hasattr(module, name.name) for name in node.names)
