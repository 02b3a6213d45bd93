"""``dask-regions publish``: a file that is refused changes nothing, one that is right is in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dask_regions.cli.deploying import publish as module

ROOT = Path(__file__).parents[3]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Path]]:
    """Return what is handed over for publication."""
    calls: list[tuple[str, str, Path]] = []

    def publish(system: str, region: str, path: Path) -> str:
        calls.append((system, region, path))
        return "v1"

    monkeypatch.setattr(module, "publish_file", publish)
    return calls


def test_a_right_file_is_published_to_its_system(run: Any, published: list[Any]) -> None:
    result = run("publish", str(ROOT / "datasets.yaml"), "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.output) == {"system": "dask-regions", "region": "eu-west-2", "version": "v1"}
    assert published == [("dask-regions", "eu-west-2", ROOT / "datasets.yaml")]


def test_what_the_templates_would_refuse_is_not_published(
    run: Any, published: list[Any], tmp_path: Path
) -> None:
    file = tmp_path / "datasets.yaml"
    file.write_text((ROOT / "datasets.yaml").read_text().replace("10.1.0.0/16", "10.1.0.0/24"))
    result = run("publish", str(file))
    assert result.exit_code == 2
    assert "too small" in result.stderr
    assert published == []
