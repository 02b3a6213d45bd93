"""The templates as they stand in the repository, and what tests and proofs ask of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

__all__ = ["ROOT", "read", "resources", "resources_of", "statements", "template"]

ROOT = Path(__file__).parents[1]


def template(name: str) -> dict[str, Any]:
    """Return a template by its path from the root, e.g. ``regional_stack/keys.yaml``."""
    document: dict[str, Any] = yaml_parse((ROOT / name).read_text())
    return document


def resources_of(kind: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return template, logical id and properties of every resource of a type."""
    return list(resources(read(), kind))


def read(root: Path = ROOT) -> Mapping[str, dict[str, Any]]:
    """Return every template of a checkout: its path to its document, intrinsic functions as ``Fn::…``."""
    paths = [root / "template.yaml", *sorted((root / "regional_stack").glob("*.yaml"))]
    return {str(path.relative_to(root)): yaml_parse(path.read_text(encoding="utf-8")) for path in paths}


def resources(
    templates: Mapping[str, dict[str, Any]], kind: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield template, logical id and properties of every resource of a type."""
    for template, document in templates.items():
        for name, resource in document["Resources"].items():
            if resource["Type"] == kind:
                yield template, name, resource.get("Properties", {})


def statements(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every IAM statement below a value."""
    if isinstance(value, dict):
        if "Effect" in value:
            yield value
        for item in value.values():
            yield from statements(item)
    elif isinstance(value, list):
        for item in value:
            yield from statements(item)
