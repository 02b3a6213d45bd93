"""The state machine sync_catalog, executed by moto with the real handlers, S3 and catalog."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import iris_sample_data
import pytest
import xarray as xr
import yaml
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.fsx.responses import FSxResponse

from dask_regions.catalog.query import SearchQuery
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.client.sources import sources
from dask_regions.names import LATEST_SYNC_REPORT, file_system_parameter

ROOT = Path(__file__).parents[2]
CLIENT, WEST, EAST = "eu-west-2", "us-west-2", "us-east-1"
STAGING = "staging-bucket"
STORE = "CMIP6/ScenarioMIP/MOHC/UM/a1b/r1i1p1f1/Ayr/tas/gn/v20111101"
FUNCTIONS = {
    "PlanSync": "plan_sync",
    "ImportMetadata": "import_metadata",
    "CheckImport": "check_import",
    "PlanShards": "plan_shards",
    "HarvestShard": "harvest_shard",
    "WriteItems": "write_items",
    "SwapCatalog": "swap_catalog",
}
_Handler = Callable[[Any, Any], Any]


class FakeFsx:
    """Data repository tasks, which moto lacks: each ends after some looks at it."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}
        self.outcome = dict[str, str]()
        self.looks = 0

    def create(self, response: FSxResponse) -> str:
        request = json.loads(response.body)
        task_id = f"task-{len(self.tasks):017x}"
        kept = {name: request[name] for name in ("Type", "FileSystemId", "Paths")}
        self.tasks[task_id] = {"TaskId": task_id, "Lifecycle": "EXECUTING", "CreationTime": 0, **kept}
        return json.dumps({"DataRepositoryTask": self.tasks[task_id]})

    def describe(self, response: FSxResponse) -> str:
        wanted = json.loads(response.body).get("TaskIds")
        found = [dict(task) for task in self.tasks.values() if not wanted or task["TaskId"] in wanted]
        for task in found if wanted else []:
            if self.looks > 0:
                self.looks -= 1
                continue
            task["Lifecycle"] = self.outcome.get(task["FileSystemId"], "SUCCEEDED")
            task["FailureDetails"] = {"Message": "bucket gone"} if task["Lifecycle"] == "FAILED" else {}
            self.tasks[task["TaskId"]] = task
        return json.dumps({"DataRepositoryTasks": found})


class System:
    """A client Region with the state machine, and two Regions with data."""

    def __init__(self, directory: Path, fsx: FakeFsx, lambdas: Lambdas) -> None:
        self.fsx = fsx
        self.lambdas = lambdas
        self.catalog = SqliteCatalog(f"sqlite:///{directory}/catalog.sqlite")
        self._states = boto3.client("stepfunctions", region_name=CLIENT)
        self._executions = 0
        self._machine = self._create_machine()

    def put(self, region: str, bucket: str, contents: dict[str, bytes]) -> None:
        """Store objects."""
        client = boto3.client("s3", region_name=region)
        for key, body in contents.items():
            client.put_object(Bucket=bucket, Key=key, Body=body)

    def sync(self, **request: Any) -> dict[str, Any]:
        """Run the state machine to its end."""
        return self.end(self.start(**request))

    def start(self, **request: Any) -> str:
        """Start the state machine; return the execution's ARN."""
        self._executions += 1
        started = self._states.start_execution(
            stateMachineArn=self._machine, name=f"run-{self._executions}", input=json.dumps(request)
        )
        return str(started["executionArn"])

    def stop(self, arn: str) -> None:
        """Stop an execution."""
        self._states.stop_execution(executionArn=arn)

    def end(self, arn: str) -> dict[str, Any]:
        """Wait for the end of an execution."""
        for _ in range(600):
            described = self._states.describe_execution(executionArn=arn)
            if described["status"] != "RUNNING":
                return dict(described)
            time.sleep(0.1)
        raise AssertionError("the execution did not end")

    def found(self, **query: Any) -> list[dict[str, Any]]:
        """Search the catalog."""
        return self.catalog.search(SearchQuery(**query)).items

    def _create_machine(self) -> str:
        definition = (ROOT / "statemachines" / "sync_catalog.asl.json").read_text()
        for name in FUNCTIONS:
            arn = f"arn:aws:lambda:{CLIENT}:123456789012:function:{name}"
            definition = definition.replace(f"${{{name}FunctionArn}}", arn)
        assert "${" not in definition
        role = "arn:aws:iam::123456789012:role/states"
        created = self._states.create_state_machine(name="sync", definition=definition, roleArn=role)
        return str(created["stateMachineArn"])


def load_handler(folder: str) -> _Handler:
    spec = importlib.util.spec_from_file_location(
        f"function_{folder}", ROOT / "functions" / folder / "app.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: _Handler = module.handler
    return handler


class Lambdas:
    """Runs the handlers; what stands in ``before`` or ``after`` under a function's name is called then."""

    def __init__(self, handlers: dict[str, _Handler]) -> None:
        self.handlers = handlers
        self.before = dict[str, Callable[[], None]]()
        self.after = dict[str, Callable[[], None]]()
        self.calls = list[str]()
        self.milliseconds = 900_000

    def __call__(self, function: str, event: Any) -> Any:
        self.calls.append(function)
        self.before.get(function, lambda: None)()
        answer = self.handlers[function](event, self.context(function))
        self.after.get(function, lambda: None)()
        return answer

    def context(self, function: str) -> Any:
        """Return what a handler is told of its run."""
        return SimpleNamespace(
            function_name=function,
            memory_limit_in_mb=512,
            invoked_function_arn="",
            aws_request_id="",
            get_remaining_time_in_millis=lambda: self.milliseconds,
        )


def invoker(lambdas: Lambdas) -> Callable[..., bytes]:
    def invoke(
        self: Any, function_name: str, qualifier: Any, body: Any, headers: Any, response_headers: Any
    ) -> bytes:
        try:
            answer = lambdas(function_name.split(":")[-1], json.loads(body))
        except Exception as error:  # noqa: BLE001  Lambda reports any exception this way
            response_headers["x-amz-function-error"] = "Unhandled"
            answer = {"errorMessage": str(error), "errorType": type(error).__name__}
        return json.dumps(answer).encode()

    return invoke


def configuration(directory: Path) -> Path:
    def region(number: int, name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "cidr": f"10.{number}.0.0/16", **more}

    def dataset(one: str, region: str, layout: str, **more: Any) -> dict[str, Any]:
        fixed = {"title": one, "description": one, "bucket": f"data-{one}", "fsx_path": f"/fsx/{one}"}
        return {"id": one, "region": region, "layout": layout, **fixed, **more}

    document = {
        "regions": [region(0, CLIENT, client=True), region(1, WEST, pool={}), region(2, EAST, pool={})],
        "datasets": [
            dataset("a1b", WEST, "cmip6", prefix="CMIP6/", properties={"scenario": "A1B"}),
            dataset("e1", EAST, "era5", period="P10Y", properties={"scenario": "E1"}),
        ],
    }
    path = directory / "datasets.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="session")
def zarr_store(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("zarr") / "store"
    with xr.open_dataset(Path(iris_sample_data.path) / "A1B_north_america.nc", engine="h5netcdf") as dataset:
        dataset.isel(time=slice(0, 20)).load().drop_encoding().to_zarr(path, zarr_format=2, consolidated=True)
    files = [file for file in path.rglob("*") if file.is_file()]
    return {f"{STORE}/{file.relative_to(path).as_posix()}": file.read_bytes() for file in files}


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zarr_store: dict[str, bytes]) -> Iterator[System]:
    fsx = FakeFsx()
    lambdas = Lambdas({name: load_handler(folder) for name, folder in FUNCTIONS.items()})
    for name, value in {
        "AWS_DEFAULT_REGION": CLIENT,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SYSTEM_NAME": "dask-regions",
        "DATASETS_FILE": str(configuration(tmp_path)),
        "CATALOG_URL": f"sqlite:///{tmp_path}/catalog.sqlite",
        "STAGING_BUCKET": STAGING,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(LambdaSimpleBackend, "invoke", invoker(lambdas))
    monkeypatch.setattr(
        FSxResponse, "create_data_repository_task", lambda self: fsx.create(self), raising=False
    )
    monkeypatch.setattr(
        FSxResponse, "describe_data_repository_tasks", lambda self: fsx.describe(self), raising=False
    )
    with mock_aws(config={"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}}):
        for region, bucket in ((CLIENT, STAGING), (WEST, "data-a1b"), (EAST, "data-e1")):
            place: Any = {} if region == EAST else {"LocationConstraint": region}
            more = {"CreateBucketConfiguration": place} if place else {}
            boto3.client("s3", region_name=region).create_bucket(Bucket=bucket, **more)
        for region in (WEST, EAST):
            ssm = boto3.client("ssm", region_name=region)
            ssm.put_parameter(Name=file_system_parameter("dask-regions"), Value=f"fs-{region}", Type="String")
        system = System(tmp_path, fsx, lambdas)
        system.put(WEST, "data-a1b", zarr_store)
        system.put(EAST, "data-e1", {"1860/01/data/air_temperature.nc": decades()})
        yield system


def decades() -> bytes:
    return (Path(iris_sample_data.path) / "E1_north_america.nc").read_bytes()


def test_a_sync_fills_an_empty_catalog_with_what_both_regions_hold(system: System) -> None:
    assert system.found() == []
    system.fsx.looks = 2
    assert system.sync()["status"] == "SUCCEEDED"
    assert {item["properties"]["scenario"]: item["properties"]["regions"] for item in system.found()} == {
        "A1B": [WEST],
        "E1": [EAST],
    }
    (item,) = system.found(collections=["a1b"], bbox=[-100, 30, -90, 40], datetime="1865-01-01T00:00:00Z/..")
    assert item["assets"]["zarr"]["alternate"]["fsx"]["href"].startswith("file:///fsx/a1b/ScenarioMIP/")
    assert {tuple(task["Paths"]) for task in system.fsx.tasks.values()} == {
        ("s3://data-a1b/CMIP6/",),
        ("s3://data-e1/",),
    }


def test_a_second_sync_finds_the_same_and_drops_what_is_gone(system: System) -> None:
    system.put(EAST, "data-e1", {"1870/01/data/air_temperature.nc": decades()})
    assert system.sync()["status"] == "SUCCEEDED"
    before = system.found()
    assert system.sync()["status"] == "SUCCEEDED"
    assert system.found() == before
    boto3.client("s3", region_name=EAST).delete_object(
        Bucket="data-e1", Key="1870/01/data/air_temperature.nc"
    )
    assert system.sync()["status"] == "SUCCEEDED"
    assert {item["id"] for item in before} - {item["id"] for item in system.found()} == {"e1.1870-01"}


def test_a_failing_region_keeps_its_items_and_the_other_is_renewed(
    system: System, zarr_store: dict[str, bytes]
) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    newer = {key.replace("v20111101", "v20200101"): value for key, value in zarr_store.items()}
    system.put(WEST, "data-a1b", newer)
    system.put(EAST, "data-e1", {"1870/01/data/air_temperature.nc": decades()})
    system.fsx.outcome[f"fs-{EAST}"] = "FAILED"
    ended = system.sync()
    assert (ended["status"], ended["error"]) == ("FAILED", "SyncIncomplete")
    assert "bucket gone" in ended["cause"]
    assert sorted(item["id"].split(".")[-1] for item in system.found()) == [
        "1860-01",
        "v20111101",
        "v20200101",
    ]
    freshness = system.catalog.freshness()
    assert freshness[EAST]["stale"]
    assert "bucket gone" in freshness[EAST]["error"]
    assert not freshness[WEST]["stale"]


def test_a_region_without_readable_data_keeps_its_items(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    system.put(EAST, "data-e1", {"1860/01/data/air_temperature.nc": b"torn"})
    ended = system.sync()
    assert ended["error"] == "SyncIncomplete"
    assert "dataset e1 has no Items" in ended["cause"]
    assert len(system.found()) == 2


def test_only_the_regions_asked_for_are_synced(system: System) -> None:
    assert system.sync(regions=[WEST])["status"] == "SUCCEEDED"
    assert [item["collection"] for item in system.found()] == ["a1b"]
    assert system.sync(regions=[EAST])["status"] == "SUCCEEDED"
    assert len(system.found()) == 2


def test_a_region_that_left_the_configuration_leaves_the_catalog(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    file = Path(os.environ["DATASETS_FILE"])
    document = yaml.safe_load(file.read_text())
    document["regions"] = [region for region in document["regions"] if region["name"] != EAST]
    document["datasets"] = [dataset for dataset in document["datasets"] if dataset["region"] != EAST]
    file.write_text(yaml.safe_dump(document))
    assert system.sync()["status"] == "SUCCEEDED"
    assert [item["collection"] for item in system.found()] == ["a1b"]
    assert system.catalog.freshness().keys() == {WEST}


def test_a_dataset_in_two_regions_is_one_item_that_both_hold_also_when_one_fails(
    system: System, zarr_store: dict[str, bytes]
) -> None:
    file = Path(os.environ["DATASETS_FILE"])
    document = yaml.safe_load(file.read_text())
    replica = {"region": EAST, "bucket": "replica-a1b", "fsx_path": "/fsx/copy"}
    document["datasets"][0]["replicas"] = [replica]
    file.write_text(yaml.safe_dump(document))
    boto3.client("s3", region_name=EAST).create_bucket(Bucket="replica-a1b")
    system.put(EAST, "replica-a1b", zarr_store)
    assert system.sync()["status"] == "SUCCEEDED"
    (item,) = system.found(collections=["a1b"])
    assert item["properties"]["regions"] == [EAST, WEST]
    [copies] = sources([item], {EAST, WEST})
    store = STORE.removeprefix("CMIP6/")
    assert {copy.region: copy.path.rstrip("/") for copy in copies} == {
        EAST: f"/fsx/copy/{store}",
        WEST: f"/fsx/a1b/{store}",
    }
    system.fsx.outcome[f"fs-{EAST}"] = "FAILED"
    assert system.sync()["error"] == "SyncIncomplete"
    assert system.found(collections=["a1b"]) == [item]


def test_a_region_that_holds_nothing_is_refused_and_the_catalog_stays(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    ended = system.sync(regions=["ap-south-1"])
    assert (ended["status"], ended["error"]) == ("FAILED", "SyncFailed")
    assert "ap-south-1 hold no datasets" in ended["cause"]
    assert len(system.found()) == 2


def test_a_region_whose_stack_is_missing_fails_alone(system: System) -> None:
    boto3.client("ssm", region_name=EAST).delete_parameter(Name=file_system_parameter("dask-regions"))
    ended = system.sync()
    assert ended["error"] == "SyncIncomplete"
    assert "deploy regional_stack" in ended["cause"]
    assert [item["collection"] for item in system.found()] == ["a1b"]


def test_an_import_under_way_is_taken_up(system: System) -> None:
    running = {
        "TaskId": "task-running",
        "Type": "IMPORT_METADATA_FROM_REPOSITORY",
        "FileSystemId": f"fs-{WEST}",
        "Lifecycle": "EXECUTING",
        "CreationTime": 0,
        "Paths": [],
    }
    system.fsx.tasks["task-running"] = running
    assert system.sync(regions=[WEST])["status"] == "SUCCEEDED"
    assert list(system.fsx.tasks) == ["task-running"]


def report() -> dict[str, Any]:
    body = boto3.client("s3", region_name=CLIENT).get_object(Bucket=STAGING, Key=LATEST_SYNC_REPORT)["Body"]
    found: dict[str, Any] = json.loads(body.read())
    return found


def test_a_sync_reports_what_it_did_also_where_a_region_failed(system: System) -> None:
    system.put(EAST, "data-e1", {"1860/01/data/torn.nc": b"torn"})
    ended = system.sync()
    output = json.loads(ended["output"])
    assert output["report"].startswith("sync/reports/")
    assert output["regions"][EAST]["skipped"] == 1
    assert output["regions"][EAST]["examples"][0].startswith("s3://data-e1/1860/01/: torn: OSError")
    kept = report()
    assert kept["skipped"][EAST][0]["source"] == "s3://data-e1/1860/01/"
    assert kept["regions"][WEST]["added"] == 1
    assert kept["regions"][WEST]["lists"] > 0
    system.fsx.outcome[f"fs-{EAST}"] = "FAILED"
    ended = system.sync()
    cause = json.loads(ended["cause"])
    assert cause["failed"].keys() == {EAST}
    assert cause["regions"][WEST]["items"] == 1
    assert report()["sync"] == cause["sync"]


def test_an_unchanged_sync_reads_no_metadata_and_makes_no_generation(system: System) -> None:
    first = json.loads(system.sync()["output"])
    second = json.loads(system.sync()["output"])
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["generation"] == second["generation"]
    assert {region["gets"] for region in second["regions"].values()} == {0}
    assert {region["items"] for region in second["regions"].values()} == {1}


def test_a_function_short_of_time_is_called_again_until_its_shard_is_done(system: System) -> None:
    contents = {f"{year}/01/data/air_temperature.nc": decades() for year in (1870, 1880)}
    system.put(EAST, "data-e1", contents)
    system.lambdas.milliseconds = 1000
    assert system.sync()["status"] == "SUCCEEDED"
    assert len(system.found(collections=["e1"])) == 3
    assert system.lambdas.calls.count("HarvestShard") == 1 + 3


class Died(Exception):  # noqa: N818
    """A function that ended without an answer."""


STEPS = list(FUNCTIONS)


def die() -> None:
    raise Died


def put_month(system: System, year: int) -> None:
    """Put a new file into the eastern bucket, and take one away."""
    s3 = boto3.client("s3", region_name=EAST)
    s3.delete_object(Bucket="data-e1", Key=f"{year - 10}/01/data/air_temperature.nc")
    system.put(EAST, "data-e1", {f"{year}/01/data/air_temperature.nc": decades()})


def months(system: System) -> list[str]:
    return sorted(item["id"] for item in system.found(collections=["e1"]))


def test_a_sync_that_dies_at_any_step_leaves_the_catalog_and_the_next_completes_it(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    moments = [(system.lambdas.before, step) for step in STEPS]
    for number, (hooks, step) in enumerate([*moments, (system.lambdas.after, "WriteItems")], start=1):
        before = system.found()
        put_month(system, 1860 + 10 * number)
        hooks[step] = die
        assert system.sync()["status"] == "FAILED", step
        assert system.found() == before, step
        hooks.clear()
        assert system.sync()["status"] == "SUCCEEDED", step
        assert months(system) == [f"e1.{1860 + 10 * number}-01"], step


def test_a_sync_that_dies_after_its_swap_has_swapped_all(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    put_month(system, 1870)
    system.lambdas.after["SwapCatalog"] = die
    assert system.sync()["status"] == "FAILED"
    assert months(system) == ["e1.1870-01"]
    system.lambdas.after.clear()
    output = json.loads(system.sync()["output"])
    assert not output["changed"]
    assert months(system) == ["e1.1870-01"]


def test_a_sync_that_is_stopped_at_any_step_leaves_the_catalog_and_the_next_completes_it(
    system: System,
) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    for number, step in enumerate(("ImportMetadata", "HarvestShard", "WriteItems", "SwapCatalog"), start=1):
        before = system.found()
        put_month(system, 1860 + 10 * number)
        hold = Hold()
        system.lambdas.before[step] = hold
        arn = system.start()
        assert hold.reached.wait(60), step
        system.stop(arn)
        assert system.found() == before, step
        system.lambdas.before.clear()
        if step == "SwapCatalog":
            # What already runs is not called back: the function swaps, though its execution was stopped.
            hold.fail = True
        hold.go_on.set()
        # Inside a Map, moto reports an execution that was stopped as FAILED.
        assert system.end(arn)["status"] in ("ABORTED", "FAILED"), step
        assert system.sync()["status"] == "SUCCEEDED", step
        assert months(system) == [f"e1.{1860 + 10 * number}-01"], step


class Hold:
    """Holds a function at its start until it may go on."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.fail = False

    def __call__(self) -> None:
        self.reached.set()
        assert self.go_on.wait(60)
        if self.fail:
            raise Died


def test_of_two_syncs_at_once_the_later_is_refused_by_the_name_of_the_other(system: System) -> None:
    hold = Hold()
    system.lambdas.before["ImportMetadata"] = hold
    first = system.start()
    assert hold.reached.wait(60)
    refused = system.sync()
    assert (refused["status"], refused["error"]) == ("FAILED", "SyncFailed")
    assert "SyncRunningError" in refused["cause"]
    assert first in refused["cause"]
    hold.go_on.set()
    assert system.end(first)["status"] == "SUCCEEDED"
    assert len(system.found()) == 2
    assert system.sync()["status"] == "SUCCEEDED"


def test_two_syncs_started_at_the_same_moment_never_both_go_on(system: System) -> None:
    ended = [system.end(arn) for arn in [system.start(), system.start()]]
    statuses = sorted(one["status"] for one in ended)
    # Where the first had ended before the second looked, both succeed, one after the other.
    assert statuses in (["FAILED", "SUCCEEDED"], ["SUCCEEDED", "SUCCEEDED"])
    assert len(system.found()) == 2


def test_what_a_killed_sync_has_read_is_taken_up(system: System) -> None:
    system.lambdas.before["WriteItems"] = die
    assert system.sync()["status"] == "FAILED"
    assert system.found() == []
    system.lambdas.before.clear()
    output = json.loads(system.sync()["output"])
    assert {region["reused"] for region in output["regions"].values()} == {1}
    assert {region["gets"] for region in output["regions"].values()} == {0}
    assert len(system.found()) == 2
