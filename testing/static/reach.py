"""What code can come to run from a function of the project, and which AWS calls are in it.

The graph is made of names: a function reaches whatever it names, a class is reached with its special methods
and with those methods whose names occur in reached code. That is more than what runs, never less, but for
modules that are imported by a text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from botocore import xform_name
from botocore.loaders import UnknownServiceError
from botocore.session import get_session

from testing.templates import ROOT

__all__ = ["Call", "Module", "calls_of_text", "operations", "reached_calls", "reached_texts"]

_PACKAGE = ROOT / "layers" / "dask_regions" / "src"
#: Methods that boto3 adds to clients, by the operation that they are made of.
_ADDED_METHODS = {("s3", "upload_file"): "PutObject", ("s3", "download_file"): "GetObject"}


@dataclass(frozen=True, order=True)
class Call:
    """An operation of an AWS service, as botocore names both: ``ecs``, ``UpdateService``."""

    service: str
    operation: str


@dataclass
class Module:
    """The definitions of a module by name, and what its imports name."""

    tree: ast.Module
    definitions: dict[str, ast.AST] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Module:
        """Read the text of a module."""
        module = cls(_WithoutAnnotations().visit(ast.parse(text)))
        for statement in module.tree.body:
            for name in _names_defined(statement):
                module.definitions[name] = statement
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                module.imports |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                module.imports |= {
                    alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
                }
        return module

    @property
    def services(self) -> set[str]:
        """The services of which the module makes clients: ``boto3.client("ecs")``, ``client("ecs")``."""
        return {
            node.args[0].value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call)
            and (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
            in ("client", "client_of", "_client")
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
            and operations(node.args[0].value)
        }


class _WithoutAnnotations(ast.NodeTransformer):
    """Drops what is never evaluated: a class in an annotation is not used."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _names_defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
    elif isinstance(statement, ast.If | ast.Try):
        for inner in statement.body:
            yield from _names_defined(inner)


@cache
def operations(service: str) -> Mapping[str, str]:
    """Return the methods of a service's client: name to operation; none where there is no such service."""
    try:
        model = get_session().get_service_model(service)
    except UnknownServiceError:
        return {}
    added = {method: name for (of, method), name in _ADDED_METHODS.items() if of == service}
    return {xform_name(name): name for name in model.operation_names} | added


@cache
def _package() -> Mapping[str, Module]:
    modules = {}
    for path in sorted(_PACKAGE.rglob("*.py")):
        parts = path.relative_to(_PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = Module.parse(path.read_text(encoding="utf-8"))
    return modules


class _Reach:
    """What was reached so far: definitions by module and name, and every name of an attribute in them."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        self.code: dict[tuple[str, str], list[ast.AST]] = {}
        self._classes: list[tuple[str, ast.ClassDef]] = []
        self._attributes: set[tuple[str, str]] = set()

    def visit(self, module: str, name: str) -> None:
        """Reach a definition, and all that it reaches."""
        target = self._modules.get(module)
        if target is None or (module, name) in self.code:
            return
        definition = target.definitions.get(name)
        if definition is None:
            imported = target.imports.get(name)
            if imported:
                self._visit_path(imported)
            return
        self.code[module, name] = []
        if isinstance(definition, ast.ClassDef):
            self._classes.append((module, definition))
            for statement in definition.body:
                if getattr(statement, "name", "__").startswith("__"):
                    self.read(module, name, statement)
            for outer in (*definition.bases, *definition.decorator_list):
                self.read(module, name, outer)
        else:
            self.read(module, name, definition)

    def read(self, module: str, name: str, code: ast.AST) -> None:
        """Take note of code, and reach what it names."""
        self.code.setdefault((module, name), []).append(code)
        for node in ast.walk(code):
            if isinstance(node, ast.Name):
                self._visit_name(module, node.id)
            elif isinstance(node, ast.Attribute):
                self._attributes |= {(module, node.attr), ("", node.attr)}
                path = _dotted(node)
                root = self._modules[module].imports.get(path.split(".")[0])
                if root:
                    self._visit_path(".".join([root, *path.split(".")[1:]]))

    def methods(self) -> bool:
        """Reach methods whose names have occurred; returns whether there were more."""
        before = len(self.code)
        for module, definition in list(self._classes):
            # The methods of a private class are called in its own module, unless another inherits them.
            private = definition.name.startswith("_") and not self._is_base(module, definition.name)
            caller = module if private else ""
            for method in definition.body:
                if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                key = (module, f"{definition.name}.{method.name}")
                if (caller, method.name) in self._attributes and key not in self.code:
                    self.read(*key, method)
        return len(self.code) > before

    def _is_base(self, module: str, name: str) -> bool:
        classes = (node for node in self._modules[module].tree.body if isinstance(node, ast.ClassDef))
        return any(isinstance(base, ast.Name) and base.id == name for node in classes for base in node.bases)

    def _visit_name(self, module: str, name: str) -> None:
        if name in self._modules[module].definitions:
            self.visit(module, name)
        elif name in self._modules[module].imports:
            self._visit_path(self._modules[module].imports[name])

    def _visit_path(self, path: str) -> None:
        parts = path.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            module = ".".join(parts[:cut])
            if module in self._modules:
                self.visit(module, parts[cut])
                return


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _reach(entry: str) -> tuple[Mapping[str, Module], _Reach]:
    modules = dict(_package())
    path = ROOT / entry
    name = entry
    if path.is_file():
        modules[name] = Module.parse(path.read_text(encoding="utf-8"))
    reach = _Reach(modules)
    for definition in list(modules[name].definitions):
        reach.visit(name, definition)
    while reach.methods():
        pass
    return modules, reach


def reached_calls(entry: str) -> set[Call]:
    """Return the operations that are called by what a module's definitions reach.

    Parameters
    ----------
    entry
        ``functions/<name>/app.py``, or the name of a module of the package.
    """
    modules, reach = _reach(entry)
    return {
        call for (module, _), code in reach.code.items() for call in _calls(code, modules[module].services)
    }


def reached_texts(entry: str, below: str) -> set[str]:
    """Return the texts in what is reached of the modules below a package, such as methods of HTTP."""
    _, reach = _reach(entry)
    return {
        node.value
        for (module, _), code in reach.code.items()
        if module.startswith(below)
        for part in code
        for node in ast.walk(part)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def calls_of_text(text: str) -> set[Call]:
    """Return the operations that a module calls which stands in a template."""
    module = Module.parse(text)
    return set(_calls(module.tree.body, module.services))


def _calls(code: Iterable[ast.AST], services: Iterable[str]) -> Iterator[Call]:
    for node in (node for part in code for node in ast.walk(part)):
        names = {node.attr} if isinstance(node, ast.Attribute) else set()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            argument = node.args[0]
            if node.func.attr == "get_paginator" and isinstance(argument, ast.Constant):
                names = {str(argument.value)}
        for service in services:
            for name in names & operations(service).keys():
                yield Call(service, operations(service)[name])
