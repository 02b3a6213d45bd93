"""Every handler, imported as Lambda does: with its folder, its layers and the runtime on its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from dask_regions_local.emulator.functions.layers import build_layer, build_runtime

ROOT = Path(__file__).parents[3]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}
LOOK = """
import importlib.util, json, sys
import app
assert callable(app.handler)
names = ("dask", "distributed", "h5py", "xarray", "zarr")
print(json.dumps({
    "imported": sorted(sys.modules),
    "found": [name for name in names if importlib.util.find_spec(name)],
}))
"""


def look(name: str, tmp_path: Path, catalog: str = "") -> dict[str, list[str]]:
    """Import a handler in a process that has nothing else on its path."""
    layers = [*TEMPLATE["Globals"]["Function"]["Layers"], *FUNCTIONS[name].get("Layers", [])]
    path = [
        ROOT / FUNCTIONS[name]["CodeUri"],
        *(build_layer(layer["Ref"], ROOT / "layers" / "dask_regions", ROOT) / "python" for layer in layers),
        build_runtime(tmp_path / "runtime"),
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "CATALOG_URL": catalog or f"sqlite:///{tmp_path}/catalog.sqlite",
        "DATASETS_FILE": str(ROOT / "local" / "datasets.yaml"),
    }
    done = subprocess.run(
        [sys.executable, "-S", "-c", LOOK],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return answer


@pytest.mark.xdist_group("handlers")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handler_needs_its_layers_alone_and_imports_no_dask(name: str, tmp_path: Path) -> None:
    answer = look(name, tmp_path)
    assert "dask_regions" in answer["imported"]
    assert not {"dask", "distributed", "xarray"} & set(answer["imported"])
    # The functions that read data have readers of them; none has Dask.
    assert answer["found"] == (["h5py", "zarr"] if FUNCTIONS[name].get("Layers") else [])


@pytest.mark.xdist_group("handlers")
def test_a_search_starts_without_what_only_others_need(tmp_path: Path) -> None:
    imported = set(
        look("ServeCatalogFunction", tmp_path, "https://search.eu-west-2.es.amazonaws.com")["imported"]
    )
    assert {"orjson", "urllib3", "dask_regions.catalog.opensearch"} <= imported
    # Together they would take longer than all the rest; datasets.yaml is read for Collections only.
    others = {"pydantic", "yaml", "botocore", "shapely", "numpy", "sqlite3", "aws_lambda_powertools"}
    assert not others & imported
