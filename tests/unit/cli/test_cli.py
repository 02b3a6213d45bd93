"""The command line: help, one-line errors, and what each command sends and shows."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pystac_client
import pytest
import requests
from click.testing import CliRunner, Result
from pystac import Asset, Item

from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.aws.stepfunctions import Execution
from dask_regions.cli import operate
from dask_regions.cli.main import main
from dask_regions.errors import UnavailableError
from dask_regions.local_state import LOCK_FILE, LocalState, write_state
from dask_regions.models import Pool
from dask_regions.scaling import PoolDemand, PoolState

ROOT = Path(__file__).parents[3]
COMMANDS = ("check", "demo", "local", "pools", "scale", "search", "sync")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs ``dask-regions`` with no system but the one a test makes."""
    for name in ("DASK_REGIONS_API", "DASK_REGIONS_TRACEBACK", "SCHEDULER_URL", "SYSTEM_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATASETS_FILE", str(ROOT / "datasets.yaml"))
    monkeypatch.setenv("DASK_REGIONS_LOCAL", str(tmp_path / "local"))

    def invoke(*arguments: str) -> Result:
        return CliRunner(mix_stderr=False).invoke(main, arguments)

    return invoke


def describe_local(directory: Path, pid: int) -> None:
    """Write what a local system says about itself."""
    directory.mkdir()
    state = LocalState(
        pid=pid,
        api_url="http://127.0.0.1:1/catalog",
        scheduler_address="tcp://127.0.0.1:2",
        dashboard_url="http://127.0.0.1:3/status",
        aws_endpoint="http://127.0.0.1:4",
        client_region="eu-west-2",
        datasets_file=ROOT / "datasets.yaml",
    )
    write_state(directory, state)


@contextmanager
def running_local(directory: Path) -> Iterator[None]:
    """Hold the lock of a local system that has described itself."""
    describe_local(directory, os.getpid())
    with (directory / LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class FakeService:
    """An ECS service that remembers its desired count."""

    desired: dict[str, int]
    endpoints: list[str | None]

    def __init__(self, region: str, system: str) -> None:
        self.region = f"{system}/{region}"

    def state(self, pool: Pool) -> PoolState:
        region = self.region.split("/")[1]
        self.endpoints.append(os.environ.get("AWS_ENDPOINT_URL"))
        return PoolState(region=region, desired=self.desired[self.region], running=1, pending=0, pool=pool)

    def set_desired(self, desired: int) -> None:
        self.desired[self.region] = desired


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    desired = {"dask-regions/us-west-2": 1, "dask-regions/us-east-1": 1}
    monkeypatch.setattr(FakeService, "desired", desired, raising=False)
    monkeypatch.setattr(FakeService, "endpoints", [], raising=False)
    monkeypatch.setattr(operate, "PoolService", FakeService)
    return desired


def test_help_lists_the_commands_of_both_distributions(run: Any) -> None:
    result = run("--help")
    assert result.exit_code == 0
    commands = {line.split()[0] for line in result.output.split("Commands:")[1].splitlines() if line.strip()}
    assert commands >= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_s_help_has_an_example(run: Any, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"  dask-regions {command}" in result.output


def test_an_unknown_command_is_a_usage_error(run: Any) -> None:
    assert run("serach").exit_code == 2


def test_check_shows_the_pools_and_datasets(run: Any) -> None:
    result = run("check", str(ROOT / "datasets.yaml"))
    assert result.exit_code == 0
    assert "a1b-north-america" in result.output
    assert "1 to 3" in result.output


def test_check_reports_every_mistake_on_a_line_of_its_own(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    text = (ROOT / "datasets.yaml").read_text(encoding="utf-8")
    file.write_text(
        text.replace("layout: era5", "layout: grib").replace("10.2.0.0/16", "10.1.0.0/16"), encoding="utf-8"
    )
    result = run("check", str(file))
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"error: {file}:") for line in lines)


def test_a_traceback_is_shown_on_request_only(run: Any) -> None:
    assert run("check", "nowhere.yaml").stderr.startswith("error: nowhere.yaml: cannot be read")
    assert isinstance(run("--traceback", "check", "nowhere.yaml").exception, Exception)
    assert not isinstance(run("--traceback", "check", "nowhere.yaml").exception, SystemExit)


def test_scale_sets_an_absolute_number_in_that_region_only(run: Any, services: dict[str, int]) -> None:
    result = run("scale", "us-west-2", "3")
    assert result.exit_code == 0
    assert "us-west-2: 1 -> 3" in result.output
    assert services == {"dask-regions/us-west-2": 3, "dask-regions/us-east-1": 1}


def test_scale_outside_the_bounds_names_them_and_changes_nothing(run: Any, services: dict[str, int]) -> None:
    result = run("scale", "us-west-2", "9")
    assert result.exit_code == 1
    assert "error: TASKS: 9 is outside the bounds of us-west-2, 1 to 3" in result.stderr
    assert services["dask-regions/us-west-2"] == 1


def test_scale_of_a_region_without_a_pool_lists_those_with_one(run: Any) -> None:
    result = run("scale", "eu-west-2", "1")
    assert result.exit_code == 1
    assert "us-west-2, us-east-1" in result.stderr


def test_scale_wants_a_number(run: Any) -> None:
    assert run("scale", "us-west-2", "many").exit_code == 2


def test_commands_act_on_the_local_system_while_it_runs(
    run: Any, services: dict[str, int], tmp_path: Path
) -> None:
    with running_local(tmp_path / "local"):
        assert run("scale", "us-west-2", "2").exit_code == 0
    assert FakeService.endpoints == ["http://127.0.0.1:4"]
    assert "AWS_ENDPOINT_URL" not in os.environ


@pytest.mark.parametrize(
    "pid",
    [
        pytest.param(2**22 + 1, id="above the kernel's largest process id"),
        pytest.param(os.getpid(), id="of a process that is not the system"),
    ],
)
def test_the_file_of_a_local_system_that_is_gone_is_ignored(
    run: Any, services: dict[str, int], tmp_path: Path, pid: int
) -> None:
    describe_local(tmp_path / "local", pid)
    (tmp_path / "local" / LOCK_FILE).touch()
    assert run("scale", "us-west-2", "2").exit_code == 0
    assert FakeService.endpoints == [None]


def test_pools_shows_tasks_and_why_the_work_is_unknown(run: Any, services: dict[str, int]) -> None:
    services["dask-regions/us-east-1"] = 2
    result = run("pools")
    assert result.exit_code == 0
    [row] = [line.split() for line in result.output.splitlines() if line.startswith("us-east-1")]
    assert row == ["us-east-1", "1", "to", "3", "2", "1", "0", "-", "-", "-", "-"]
    assert "set SCHEDULER_URL" in result.output


def test_pools_shows_the_work_that_waits_and_what_scaling_makes_of_it(
    run: Any, services: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def demand(region: str) -> PoolDemand:
        if region == "us-east-1":
            raise UnavailableError("the scheduler does not answer")
        return PoolDemand(
            region=region, ecs_tasks=1, workers=2, threads=2, seconds=900, runnable=40, unassigned=38
        )

    scheduler = SimpleNamespace(demand=demand)
    monkeypatch.setattr(SchedulerClient, "from_settings", lambda _: scheduler)
    monkeypatch.setenv("SCHEDULER_URL", "http://127.0.0.1:3")
    result = run("pools")
    assert result.exit_code == 0
    [row] = [line.split() for line in result.output.splitlines() if line.startswith("us-west-2  ")]
    assert row[-4:] == ["2", "40", "38", "0%"]
    assert "grow from 1 to 3 ECS tasks" in result.output
    assert "the scheduler does not answer" in result.output


def follow_to(monkeypatch: pytest.MonkeyPatch, end: Execution) -> list[tuple[object, ...]]:
    """Let a sync start and end so; return the list of what was started."""
    started: list[tuple[object, ...]] = []

    def start(*arguments: object, state_machine: str | None) -> Execution:
        started.append(arguments)
        return Execution(arn="arn", status="RUNNING")

    monkeypatch.setattr(operate, "start", start)
    monkeypatch.setattr(operate, "follow", lambda *_: iter([Execution(arn="arn", status="RUNNING"), end]))
    return started


def report(failed: dict[str, str], *, changed: bool = True) -> dict[str, Any]:
    """Return what SwapCatalog reports."""
    counts = {"items": 7, "added": 1, "lists": 12, "gets": 4, "seconds": 2.5, "dollars": 0.0001}
    skipped = {"items": 24, "skipped": 1, "examples": ["s3://bucket/torn.nc: OSError: torn"]}
    return {
        "items": 31,
        "changed": changed,
        "seconds": 9.4,
        "dollars": 0.0002,
        "failed": failed,
        "regions": {"us-west-2": counts, "us-east-1": skipped},
        "report": "sync/reports/g.json",
    }


def test_sync_starts_the_state_machine_and_shows_what_was_done_in_every_region(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Execution(arn="arn", status="SUCCEEDED", output=report({}))
    started = follow_to(monkeypatch, end)
    result = run("sync", "--region", "us-west-2", "--region", "us-east-1")
    assert result.exit_code == 0
    assert started == [("eu-west-2", ("us-west-2", "us-east-1"))]
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[1] == ["us-west-2", "7", "1", "0", "0", "0", "12", "4", "2.5", "0.0001"]
    assert lines[2][:2] == ["us-east-1", "24"]
    assert "skipped s3://bucket/torn.nc: OSError: torn" in result.output
    assert "is in sync: 31 Items, 9 s, about $0.0002" in result.output
    assert "sync/reports/g.json" in result.output


def test_a_sync_without_changes_says_so(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    follow_to(monkeypatch, Execution(arn="arn", status="SUCCEEDED", output=report({}, changed=False)))
    assert "was in sync already" in run("sync").output


def test_a_sync_that_fails_says_which_region_and_why(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cause = json.dumps(report({"us-east-1": "no such bucket"}))
    follow_to(monkeypatch, Execution(arn="arn", status="FAILED", error="SyncIncomplete", cause=cause))
    result = run("sync")
    assert result.exit_code == 1
    assert "us-west-2" in result.stdout
    assert "us-east-1 keeps its old Items: no such bucket" in result.stdout
    assert result.stderr.startswith("error: the sync ended as FAILED (some Regions failed)")
    assert len(result.stderr.splitlines()) == 1


def test_a_sync_that_is_refused_says_which_one_runs(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cause = json.dumps({"Error": "SyncRunningError", "Cause": "another sync runs: arn:other"})
    follow_to(monkeypatch, Execution(arn="arn", status="FAILED", error="SyncFailed", cause=cause))
    result = run("sync")
    assert result.exit_code == 1
    assert "arn:other" in result.stderr


def test_sync_of_an_unknown_region_starts_nothing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started = follow_to(monkeypatch, Execution(arn="arn", status="SUCCEEDED"))
    assert run("sync", "--region", "us-west-1").exit_code == 1
    assert started == []


def item() -> Item:
    found = Item(
        id="a1b",
        geometry=None,
        bbox=None,
        datetime=None,
        collection="a1b-north-america",
        properties={
            "start_datetime": "1860-01-01T00:00:00Z",
            "end_datetime": "2099-12-30T23:59:59Z",
            "regions": ["us-west-2"],
        },
    )
    mounted = {"alternate": {"fsx": {"href": "file:///fsx/demo/store"}}}
    found.add_asset("data", Asset("s3://demo/store", roles=["data"], extra_fields=mounted))
    return found


class FakeCatalog:
    """A catalog that remembers the address and the query."""

    opened: list[str]
    queries: list[dict[str, Any]]
    found: list[Item]

    @classmethod
    def open(cls, url: str) -> FakeCatalog:
        cls.opened.append(url)
        return cls()

    def search(self, **query: Any) -> Any:
        self.queries.append(query)
        return SimpleNamespace(items=lambda: iter(self.found), matched=lambda: 12)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> type[FakeCatalog]:
    for name, value in (("opened", []), ("queries", []), ("found", [item()])):
        monkeypatch.setattr(FakeCatalog, name, value, raising=False)
    monkeypatch.setattr(pystac_client, "Client", FakeCatalog)
    return FakeCatalog


def test_search_asks_one_question_and_shows_region_interval_and_path(
    run: Any, catalog: type[FakeCatalog]
) -> None:
    result = run(
        *("search", "--api", "http://catalog", "--variable", "air_temperature", "--scenario", "A1B"),
        *("--region", "us-west-2", "--datetime", "2070/2099", "--bbox", "-125,25,-65,50", "--limit", "5"),
    )
    assert result.exit_code == 0
    assert catalog.opened == ["http://catalog"]
    [query] = catalog.queries
    assert query["filter"] == {
        "op": "and",
        "args": [
            {"op": "a_contains", "args": [{"property": "variables"}, ["air_temperature"]]},
            {"op": "a_contains", "args": [{"property": "regions"}, ["us-west-2"]]},
            {"op": "=", "args": [{"property": "scenario"}, "A1B"]},
        ],
    }
    assert (query["datetime"], query["bbox"]) == ("2070/2099", [-125, 25, -65, 50])
    assert query["max_items"] == 5
    row = result.output.splitlines()[1].split()
    assert row == ["a1b", "a1b-north-america", "1860-01-01", "2099-12-30", "us-west-2", "/fsx/demo/store"]


def test_search_says_how_many_more_there_are(run: Any, catalog: type[FakeCatalog]) -> None:
    assert "1 of 12 shown" in run("search", "--api", "http://catalog", "--limit", "1").output


def test_search_writes_a_feature_collection(run: Any, catalog: type[FakeCatalog]) -> None:
    result = run("search", "--api", "http://catalog", "--json")
    assert json.loads(result.output)["features"][0]["id"] == "a1b"


def test_search_asks_the_local_system_while_it_runs(
    run: Any, catalog: type[FakeCatalog], tmp_path: Path
) -> None:
    with running_local(tmp_path / "local"):
        assert run("search").exit_code == 0
    assert catalog.opened == ["http://127.0.0.1:1/catalog"]


def test_search_that_finds_nothing_says_what_to_do(run: Any, catalog: type[FakeCatalog]) -> None:
    catalog.found.clear()
    assert "dask-regions sync" in run("search", "--api", "http://catalog").output


def test_search_without_a_catalog_says_how_to_get_one(run: Any) -> None:
    result = run("search")
    assert result.exit_code == 1
    assert "dask-regions local" in result.stderr


def test_search_of_a_catalog_that_does_not_answer_is_one_line(
    run: Any, catalog: type[FakeCatalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise requests.ConnectionError("connection refused")

    monkeypatch.setattr(catalog, "open", refuse)
    result = run("search", "--api", "http://catalog")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the catalog at http://catalog does not answer")


@pytest.mark.parametrize("bbox", ["1,2,3", "west,south,east,north"])
def test_a_bbox_that_is_not_four_numbers_is_a_usage_error(
    run: Any, catalog: type[FakeCatalog], bbox: str
) -> None:
    assert run("search", "--api", "http://catalog", "--bbox", bbox).exit_code == 2


@pytest.mark.parametrize("period", ["nonsense", "2070/2080/2090", "2070-1-1"])
def test_a_datetime_that_is_no_interval_is_a_usage_error(
    run: Any, catalog: type[FakeCatalog], period: str
) -> None:
    result = run("search", "--api", "http://catalog", "--datetime", period)
    assert result.exit_code == 2
    assert "2070-01-01/2099-12-31" in result.stderr


@pytest.mark.parametrize("period", ["2070", "2070-06/..", "../2099-12-31", "2070-01-01T00:00:00Z"])
def test_instants_intervals_and_open_ends_are_passed_on(
    run: Any, catalog: type[FakeCatalog], period: str
) -> None:
    assert run("search", "--api", "http://catalog", "--datetime", period).exit_code == 0
    assert catalog.queries[0]["datetime"] == period
