"""The local system with its catalog in a real OpenSearch server."""

from __future__ import annotations

import json
from pathlib import Path

import pystac_client
import pytest

from dask_regions_local.demo.data import make
from dask_regions_local.emulator.system import LocalSystem
from dask_regions_local.settings import ROOT
from testing.local_system import run_state_machine

pytestmark = pytest.mark.cluster


def test_a_sync_fills_opensearch_and_searches_are_answered_from_it(
    tmp_path: Path, opensearch_url: str
) -> None:
    make(tmp_path)
    with LocalSystem(tmp_path, root=ROOT, opensearch_url=opensearch_url) as system:
        first, second = (run_state_machine(system, "SyncCatalogStateMachine", {}) for _ in range(2))
        search = pystac_client.Client.open(system.api_url).search(filter="scenario = 'A1B'")
        [item] = search.items()
    assert item.properties["regions"] == ["us-west-2"]
    assert [execution["status"] for execution in (first, second)] == ["SUCCEEDED", "SUCCEEDED"]
    reports = [json.loads(execution["output"]) for execution in (first, second)]
    assert [report["changed"] for report in reports] == [True, False]
    assert not list((tmp_path / "catalog").iterdir())
