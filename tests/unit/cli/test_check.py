"""``dask-regions check``: what datasets.yaml says, and every mistake in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def test_check_shows_the_pools_and_datasets(run: Any) -> None:
    result = run("check", str(ROOT / "local" / "datasets.yaml"))
    assert result.exit_code == 0
    assert "a1b-north-america" in result.output
    assert "1 to 3" in result.output


def test_check_reports_every_mistake_on_a_line_of_its_own(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    text = (ROOT / "local" / "datasets.yaml").read_text(encoding="utf-8")
    file.write_text(
        text.replace("layout: era5", "layout: grib").replace("10.2.0.0/16", "10.1.0.0/16"), encoding="utf-8"
    )
    result = run("check", str(file))
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"error: {file}:") for line in lines)


def test_check_writes_the_regions_as_json(run: Any) -> None:
    regions = json.loads(run("check", "--json").output)["regions"]
    (client,) = [region for region in regions if region["client"]]
    assert client["region"] == "eu-west-2"
    (west,) = [region for region in regions if region["region"] == "us-west-2"]
    assert west["pool"] == {"minimum_tasks": 1, "maximum_tasks": 3}
    assert "a1b-north-america" in west["datasets"]
