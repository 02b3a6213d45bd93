"""Weigh what ``sam build`` has made of the layers of each function: ``python -m testing.static.layers``.

Source: Lambda quotas, "Deployment package (.zip file archive) size": 250 MB unzipped, a function and all its
layers together.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

from testing.templates import ROOT, resources

__all__ = ["BUILT", "MAX_BYTES", "main", "weights"]

#: Lambda's limit, whose MB have 1024 times 1024 bytes.
MAX_BYTES = 250 * 1024 * 1024
#: Directory into which ``sam build`` writes.
BUILT = ROOT / ".aws-sam" / "build"


def weights(built: Path = BUILT) -> Mapping[str, int]:
    """Return the bytes of each function of the built template, its layers included.

    Raises
    ------
    FileNotFoundError
        Where nothing is built: run ``sam build`` first.
    """
    document = yaml_parse((built / "template.yaml").read_text(encoding="utf-8"))
    shared = document.get("Globals", {}).get("Function", {}).get("Layers", [])
    layers = {
        name: built / properties["ContentUri"]
        for _, name, properties in resources({"": document}, "AWS::Serverless::LayerVersion")
    }
    result = {}
    for _, name, properties in resources({"": document}, "AWS::Serverless::Function"):
        own = {layer["Ref"] for layer in [*shared, *properties.get("Layers", [])]}
        directories = [built / properties["CodeUri"], *(layers[layer] for layer in own)]
        result[name] = sum(_bytes_of(directory) for directory in directories)
    return result


def _bytes_of(directory: Path) -> int:
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not there; run sam build first")
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def main() -> int:
    """Print what the heaviest function weighs, and those that weigh too much; returns the exit code."""
    weighed = weights()
    too_heavy = {name: weight for name, weight in weighed.items() if weight >= MAX_BYTES}
    for name, weight in too_heavy.items():
        sys.stderr.write(f"{name} and its layers have {weight / 2**20:.0f} MB unzipped; Lambda takes 250\n")
    sys.stdout.write(f"the heaviest function has {max(weighed.values()) / 2**20:.0f} MB with its layers\n")
    return int(bool(too_heavy))


if __name__ == "__main__":
    sys.exit(main())
