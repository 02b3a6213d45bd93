"""Which names of Dask and its relatives the package uses, found in its source and in its classes."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["PACKAGES", "Use", "modules", "private_bases", "uses"]

PACKAGES = ("dask", "distributed", "xarray", "zarr", "tornado", "flox")
#: Names with an underscore that are documented: of named tuples, and of Zarr's metadata.
_DOCUMENTED = {"_replace", "_asdict", "_fields", "_make", "_ARRAY_DIMENSIONS"}
_OWN = ("self", "cls")


class Use(NamedTuple):
    """One use of a name.

    Attributes
    ----------
    module
        Module below ``dask_regions``.
    line
        Line.
    kind
        ``import``, ``attribute``, ``set`` of an attribute, or ``indirect``: what no reader can see.
    name
        Dotted name of what is imported; else the attribute alone.
    """

    module: str
    line: int
    kind: str
    name: str


def uses(module: str, source: str) -> Iterator[Use]:
    """Yield the private names that a module's source uses, and the attributes of others that it sets."""
    tree = ast.parse(source)
    own = {name for node in ast.walk(tree) for name in _defined(node)}
    foreign = any(_is_foreign(name) for node in ast.walk(tree) for name in _imported(node))
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for name in _imported(node):
            if _is_foreign(name) and any(map(_is_private, name.split("."))):
                yield Use(module, line, "import", name)
        for kind, name in _attributes(node, foreign):
            if name not in own and not (kind == "attribute" and name in _DOCUMENTED):
                yield Use(module, line, kind, name)


def private_bases(module: str) -> Iterator[Use]:
    """Yield the private methods of a class of Dask or a relative that a class of the package overrides."""
    imported = importlib.import_module(f"dask_regions.{module}")
    for owner in vars(imported).values():
        if not inspect.isclass(owner) or owner.__module__ != imported.__name__:
            continue
        bases = [base for base in owner.__mro__[1:] if _is_foreign(base.__module__)]
        for name, value in vars(owner).items():
            if _is_private(name) and callable(value) and any(name in vars(base) for base in bases):
                yield Use(module, 0, "attribute", name)


def modules(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the source of every module below a folder."""
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path.read_text()


def _is_private(name: str) -> bool:
    return name.startswith("_") and name.strip("_") != "" and not name.endswith("_") and name[1] != "_"


def _is_foreign(name: str) -> bool:
    return name.partition(".")[0] in PACKAGES


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _defined(node: ast.AST) -> Iterator[str]:
    """Yield what a module calls its own: functions, classes, variables, and attributes of its instances."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _base(node) in _OWN:
        yield node.attr


def _attributes(node: ast.AST, foreign: bool) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Attribute) and _is_private(node.attr) and _base(node) != "zlib":
        yield "attribute", node.attr
    if not foreign:
        return
    if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        yield from _set(node)
    elif isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called in ("setattr", "delattr") or (called.startswith("vars(") and called.endswith(".update")):
            yield "indirect", ast.unparse(node)
    elif isinstance(node, ast.Constant) and _is_private(str(node.value)) and str(node.value).isidentifier():
        # E.g. of `getattr`, or of an override.
        yield "attribute", str(node.value)


def _set(node: ast.Attribute | ast.Subscript) -> Iterator[tuple[str, str]]:
    target = node.value if isinstance(node, ast.Subscript) else node
    if isinstance(target, ast.Attribute) and _base(target) not in _OWN:
        yield "set", target.attr
    elif isinstance(target, ast.Call) and ast.unparse(target.func) == "vars":
        yield "indirect", ast.unparse(node)


def _base(node: ast.Attribute) -> str:
    return node.value.id if isinstance(node.value, ast.Name) else ""
