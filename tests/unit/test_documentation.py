"""What the documents name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from dask_regions.cli.main import main

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "dask_regions" / "src" / "dask_regions"
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *(
        path
        for folder in sorted(ROOT.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for path in sorted(folder.rglob("*.md"))
    ),
]
_LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?:[\w.-]+/)*[\w.-]+\.(?:py|yaml|toml|json|md)|(?:[\w.-]+/)+")
_FILE = re.compile(r"(?:[\w.-]+/)*[\w.-]+\.(?:py|yaml|toml|md|txt)")
_COMMAND = re.compile(r"\bdask-regions ([a-z]+)")


def links(document: Path) -> Iterator[str]:
    """Yield the relative links of a document, without their anchors."""
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith(("#", "mailto:")):
            yield target.partition("#")[0]


def test_there_are_documents() -> None:
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert {"README.md", "ARCHITECTURE.md", "local/README.md", "docs/decisions/README.md"} <= names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_resolve(document: Path) -> None:
    assert [link for link in links(document) if not (document.parent / link).exists()] == []


def test_what_architecture_says_to_edit_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.split("## To change X, edit Y")[1].split("\n## ")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][1:]
    paths = [[code for code in _CODE.findall(row) if _PATH.fullmatch(code)] for row in rows]
    assert all(paths), "a row names no file"
    named = {path for row in paths for path in row}
    assert {path for path in named if not ((ROOT / path).exists() or (PACKAGE / path).exists())} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_document_names_exist(document: Path) -> None:
    named = {code for code in _CODE.findall(document.read_text(encoding="utf-8")) if _FILE.fullmatch(code)}
    folders = (document.parent, ROOT, PACKAGE, ROOT / "local" / "src" / "dask_regions_local")
    missing = {name for name in named if not any((folder / name).exists() for folder in folders)}
    # "app.py" is a file of each function's folder.
    assert {name for name in missing if "/" in name or not any(ROOT.glob(f"*/*/{name}"))} == set()


def test_commands_that_documents_name_exist() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output.split("Commands:")[1]
    commands = {line.split()[0] for line in shown.splitlines() if line.strip()}
    named = {
        command
        for document in DOCUMENTS
        for code in _CODE.findall(document.read_text(encoding="utf-8"))
        for command in _COMMAND.findall(code)
    }
    assert {"check"} <= named <= commands


def test_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target
        for document in DOCUMENTS
        for code in _CODE.findall(document.read_text(encoding="utf-8"))
        for target in re.findall(r"^make ([a-z-]+)$", code)
    }
    assert {"demo", "local", "test", "check"} <= named <= targets


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(links(folder / "README.md"))
    assert listed == {path.name for path in folder.glob("[0-9]*.md")}
    for path in folder.glob("[0-9]*.md"):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix(f"# {path.name[:4]} ")
        assert title in (folder / "README.md").read_text(encoding="utf-8")
