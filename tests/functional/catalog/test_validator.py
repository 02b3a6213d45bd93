"""stac-api-validator finds no error in any class that it knows and the API advertises, on both engines."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dask_regions import catalog as catalog_package
from dask_regions.catalog import opensearch, sqlite
from dask_regions.catalog.engines import open_catalog
from dask_regions.catalog.queryables import QUERYABLES, Queryable
from testing.catalog.stac_api import ENGINES, ROOT, engine_url, fill, load_configuration, make_item, served

TOOL = ROOT / "tools" / "stac-api-validator"
GEOMETRY = {"type": "Polygon", "coordinates": [[[10, 10], [30, 10], [30, 30], [10, 30], [10, 10]]]}
#: Its query tests compare a number, parts of a text, and the letters of a text.
QUERY = {
    "query_comparison_field": "year",
    **{f"query_{operator}_value": 1950 for operator in ("eq", "neq", "lt", "lte", "gt", "gte")},
    "query_substring_field": "title",
    "query_starts_with_value": "Year 19",
    "query_ends_with_value": "50",
    "query_contains_value": "ear",
    "query_in_field": "scenario",
    "query_in_values": "A,B",
}


@pytest.fixture(scope="session")
def validator() -> Path:
    """Python of an environment with the validator, made once below .cache."""
    requirements = TOOL / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    directory = ROOT / ".cache" / f"stac-api-validator-{digest}"
    python = directory / "bin" / "python"
    directory.parent.mkdir(exist_ok=True)
    # Processes of pytest-xdist may get here at once.
    with (directory.parent / "stac-api-validator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            pinned = sorted(ROOT.glob(".uv/*/bin/uv"))
            uv = os.environ.get("UV") or (str(pinned[-1]) if pinned else shutil.which("uv")) or "uv"
            subprocess.run(
                [uv, "venv", "--quiet", "--clear", "--python", sys.executable, directory], check=True
            )
            install: list[str | Path] = [
                uv,
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--requirement",
                requirements,
            ]
            subprocess.run([*install, "--python", python], check=True)
            (directory / "complete").touch()
    return python


def items() -> Iterator[dict[str, Any]]:
    """Yield instants, whose order the validator can compare, and intervals."""
    for number in range(120):
        year = 1900 + number
        moment = f"{year}-07-01T00:00:00Z"
        item = make_item(
            f"year-{year}",
            "a1b",
            datetime=moment,
            year=year,
            title=f"Year {year}",
            scenario="AB"[number % 2],
        )
        # To STAC, null is no start or end.
        del item["properties"]["start_datetime"], item["properties"]["end_datetime"]
        yield item | {"geometry": GEOMETRY, "bbox": [10, 10, 30, 30], "links": []}
    for number in range(20):
        yield make_item(f"interval-{number}", "e1") | {"links": []}


def _import_afresh(monkeypatch: pytest.MonkeyPatch, *packages: ModuleType) -> None:
    """Have the engines read the queryables again, which they do when they are imported."""
    for package in packages:
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)
        for name in [name for name in sys.modules if name.startswith(package.__name__)]:
            monkeypatch.delitem(sys.modules, name)
        # An import sets it, and this sets it back in the end.
        monkeypatch.setattr(catalog_package, package.__name__.rpartition(".")[2], package)


@pytest.mark.parametrize(
    "engine", [pytest.param("sqlite", marks=pytest.mark.xdist_group("clients")), ENGINES[1]]
)
def test_the_validator_finds_no_error(
    engine: str,
    validator: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _import_afresh(monkeypatch, opensearch, sqlite)
    # Its filters name these two, which a catalog has to refuse where it does not have them.
    monkeypatch.setitem(QUERYABLES, "eo:cloud_cover", Queryable("eo:cloud_cover", "integer", "Cloud cover"))
    monkeypatch.setitem(QUERYABLES, "mission", Queryable("mission", "string", "Mission"))
    catalog = open_catalog(engine_url(engine, request, tmp_path))
    fill(catalog, list(items()))
    with served(catalog, load_configuration(tmp_path)) as url:
        done = subprocess.run(
            [validator, TOOL / "validate.py", url, "a1b", json.dumps(GEOMETRY), json.dumps(QUERY)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-5000:]
    findings = json.loads(done.stdout.splitlines()[-1])
    assert not findings["errors"], "\n".join(findings["errors"])
    # The first test of core is whether the landing page is what it says; no class may be left out silently.
    assert "advertised" not in json.dumps(findings["warnings"])
