"""Each contract of imports catches what it is for: here each is broken, by one import that it forbids."""

from __future__ import annotations

from contextlib import chdir
from copy import deepcopy
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter.application import use_cases
from importlinter.application.app_config import settings
from importlinter.application.user_options import UserOptions
from importlinter.configuration import configure
from importlinter.domain.contract import registry

ROOT = Path(__file__).parents[2]
ONE_WAY = "Imports run one way"
APART = "Tests and benchmarks share testing, and do not import each other"
ENGINES = "An engine of the catalog is asked through catalog.engines"
NO_CIRCLES = "No circles inside packages"
PLANNING = "Planning is pure, and hooks alone touch Dask"
WITHOUT_CLUSTER = "A plan is made without a cluster"
DATA = "Marker and guard lie below arrays and stores"
DEMO = "The demonstration uses the emulator, never the other way round"
KIT = "The kit for HTTP APIs knows none of them"
KIT_FLOORS = "The kit for HTTP APIs, from bodies up to dispatch"
JOINING = "How Regions are joined is decided without AWS"
LIGHT = "What Lambda runs does not import dask"


@pytest.fixture(scope="module")
def options() -> UserOptions:
    configure()
    declared = use_cases.read_user_options(str(ROOT / "pyproject.toml"))
    use_cases._register_contract_types(declared)
    return declared


@pytest.fixture(scope="module")
def graph(options: UserOptions) -> grimp.ImportGraph:
    with chdir(ROOT):
        built: grimp.ImportGraph = settings.GRAPH_BUILDER.build(
            root_package_names=options.session_options["root_packages"],
            include_external_packages=True,
            exclude_type_checking_imports=True,
            cache_dir=None,
        )
    return built


def broken(graph: grimp.ImportGraph, options: UserOptions) -> set[str]:
    """Return the names of the contracts that a graph of imports breaks."""
    names = set()
    for declared in options.contracts_options:
        contract_class: Any = registry.get_contract_class(declared["type"])
        contract = contract_class(declared["name"], options.session_options, declared)
        if not contract.check(deepcopy(graph), verbose=False).kept:
            names.add(declared["name"])
    return names


def test_no_contract_is_broken_as_it_stands(graph: grimp.ImportGraph, options: UserOptions) -> None:
    assert broken(graph, options) == set()


@pytest.mark.parametrize(
    ("importer", "imported", "contract"),
    [
        ("dask_regions.errors", "dask_regions.settings", ONE_WAY),
        ("dask_regions.http.messages", "dask_regions.catalog.queryables", ONE_WAY),
        ("dask_regions.aws.s3", "dask_regions.sync.steps", ONE_WAY),
        ("dask_regions.data.array", "dask_regions.placement.planning.plan", ONE_WAY),
        ("dask_regions.placement.planning.plan", "dask_regions.client.prices", ONE_WAY),
        ("dask_regions.jobs", "dask_regions.client.compute", ONE_WAY),
        ("dask_regions.join.planning", "botocore", JOINING),
        ("dask_regions.aws.networks.ec2", "dask_regions.join.calls", ONE_WAY),
        ("dask_regions.join.executor", "dask", LIGHT),
        ("tests.unit.sync.test_shards", "benchmarks.wan.report", APART),
        ("benchmarks.wan.report", "tests.unit.sync.test_shards", APART),
        ("testing.workloads", "benchmarks.wan.report", APART),
        ("dask_regions.harvest.base", "testing.sync.memory_bucket", APART),
        ("dask_regions.catalog.queryables", "dask_regions.catalog.asking.query", NO_CIRCLES),
        ("dask_regions.sync.steps", "dask_regions.sync.harvesting", NO_CIRCLES),
        ("dask_regions.sync.harvesting", "dask_regions.catalog.opensearch.fields", ENGINES),
        ("dask_regions.catalog.web.api", "dask_regions.catalog.sqlite", ENGINES),
        ("dask_regions_local.emulator.aws", "dask_regions_local.emulator.system", NO_CIRCLES),
        ("dask_regions_local.emulator.storage", "dask_regions_local.demo.data", DEMO),
        ("dask_regions.http.dispatch", "dask_regions.catalog.web.routes", KIT),
        ("dask_regions.http.openapi", "dask_regions.names", KIT),
        ("dask_regions.http.messages", "dask_regions.http.routes", KIT_FLOORS),
        ("dask_regions.placement.planning.plan", "dask_regions.placement.hooks.wire", PLANNING),
        ("dask_regions.placement.hooks.timeouts", "dask_regions.placement.failures.watch", PLANNING),
        ("dask_regions.placement.planning.plan", "distributed", WITHOUT_CLUSTER),
        ("dask_regions.placement.planning.payload", "dask_regions.data.array", WITHOUT_CLUSTER),
        ("dask_regions.data.marker", "dask_regions.data.array", DATA),
        ("dask_regions.data.array", "dask_regions.client.replicas", ONE_WAY),
        ("dask_regions.scaling", "distributed", LIGHT),
        ("dask_regions.catalog.engines", "xarray", LIGHT),
    ],
)
def test_an_import_against_a_contract_is_caught(
    graph: grimp.ImportGraph, options: UserOptions, importer: str, imported: str, contract: str
) -> None:
    seeded = deepcopy(graph)
    if importer == "dask_regions.jobs":  # a room that is still to come is in its contract already
        seeded.add_module(importer)
    assert {importer, imported} <= seeded.modules
    seeded.add_import(importer=importer, imported=imported)
    assert contract in broken(seeded, options)
