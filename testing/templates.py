"""The templates as they stand in the repository, for tests that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

__all__ = ["ROOT", "resources_of", "template"]

ROOT = Path(__file__).parents[1]


def template(name: str) -> dict[str, Any]:
    """Return a template by its path from the root, e.g. ``regional_stack/keys.yaml``."""
    document: dict[str, Any] = yaml_parse((ROOT / name).read_text())
    return document


def resources_of(kind: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return template, logical id and properties of every resource of a type."""
    paths = [ROOT / "template.yaml", *sorted((ROOT / "regional_stack").glob("*.yaml"))]
    names = [str(path.relative_to(ROOT)) for path in paths]
    return [
        (name, logical, resource.get("Properties", {}))
        for name in names
        for logical, resource in template(name)["Resources"].items()
        if resource["Type"] == kind
    ]
