"""The state machine sync_catalog for tests, executed by moto with the real handlers, S3 and catalog."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
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
from moto.core.config import DefaultConfig
from moto.fsx.responses import FSxResponse

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.engines import open_catalog
from dask_regions.names import file_system_parameter
from testing.waiting import wait_until

__all__ = [
    "CLIENT", "EAST", "FUNCTIONS", "STAGING", "STORE", "WEST", "System", "decades", "definition",
    "function_arn", "running", "zarr_store",
]  # fmt: skip

ROOT = Path(__file__).parents[2]
CLIENT, WEST, EAST = "eu-west-2", "us-west-2", "us-east-1"
STAGING = "staging-bucket"
#: Key of the Zarr store in the western bucket.
STORE = "CMIP6/ScenarioMIP/MOHC/UM/a1b/r1i1p1f1/Ayr/tas/gn/v20111101"
#: Function to its folder, in the order of the states.
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


class _FakeFsx:
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
        tasks = [dict(task) for task in self.tasks.values() if not wanted or task["TaskId"] in wanted]
        for task in tasks if wanted else []:
            if self.looks > 0:
                self.looks -= 1
                continue
            task["Lifecycle"] = self.outcome.get(task["FileSystemId"], "SUCCEEDED")
            task["FailureDetails"] = {"Message": "bucket gone"} if task["Lifecycle"] == "FAILED" else {}
            self.tasks[task["TaskId"]] = task
        return json.dumps({"DataRepositoryTasks": tasks})


class System:
    """A client Region with the state machine, and two Regions with data."""

    def __init__(self, url: str, fsx: _FakeFsx, lambdas: _Lambdas) -> None:
        self.url = url
        self.fsx = fsx
        self.lambdas = lambdas
        self.catalog = open_catalog(url)
        self._states = boto3.client("stepfunctions", region_name=CLIENT)
        self._executions = 0
        created = self._states.create_state_machine(
            name="sync", definition=definition(), roleArn="arn:aws:iam::123456789012:role/states"
        )
        self._machine = str(created["stateMachineArn"])

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

        def ended() -> dict[str, Any]:
            described = self._states.describe_execution(executionArn=arn)
            return dict(described) if described["status"] != "RUNNING" else {}

        return wait_until(ended, "the end of the execution")

    def found(self, **query: Any) -> list[dict[str, Any]]:
        """Search the catalog."""
        return self.catalog.search(SearchQuery.from_values(query)).items

    def use(self, changed: str) -> None:
        """Give the state machine another definition."""
        self._states.update_state_machine(stateMachineArn=self._machine, definition=changed)


def definition() -> str:
    """Return the state machine's definition, with the functions' ARNs."""
    text = (ROOT / "statemachines" / "sync_catalog.asl.json").read_text()
    for name in FUNCTIONS:
        text = text.replace(f"${{{name}FunctionArn}}", function_arn(name))
    assert "${" not in text
    return text


def function_arn(name: str) -> str:
    """Return the ARN of a function."""
    return f"arn:aws:lambda:{CLIENT}:123456789012:function:{name}"


def _load_handler(folder: str) -> _Handler:
    spec = importlib.util.spec_from_file_location(
        f"function_{folder}", ROOT / "functions" / folder / "app.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: _Handler = module.handler
    return handler


class _Lambdas:
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


def _invoker(lambdas: _Lambdas) -> Callable[..., bytes]:
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


def _configuration(directory: Path) -> Path:
    def region(number: int, name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "cidr": f"10.{number}.0.0/16", **more}

    def dataset(dataset_id: str, region: str, layout: str, **more: Any) -> dict[str, Any]:
        fixed = {
            "title": dataset_id,
            "description": dataset_id,
            "bucket": f"data-{dataset_id}",
            "fsx_path": f"/fsx/{dataset_id}",
        }
        return {"id": dataset_id, "region": region, "layout": layout, **fixed, **more}

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


@cache
def zarr_store() -> dict[str, bytes]:
    """Return the objects of a Zarr store, by key; they are shared and not to be changed."""
    source = Path(iris_sample_data.path) / "A1B_north_america.nc"
    with (
        tempfile.TemporaryDirectory(prefix="dask-regions-") as path,
        xr.open_dataset(source, engine="h5netcdf") as dataset,
    ):
        dataset.isel(time=slice(0, 20)).load().drop_encoding().to_zarr(path, zarr_format=2, consolidated=True)
        files = [file for file in Path(path).rglob("*") if file.is_file()]
        return {f"{STORE}/{file.relative_to(path).as_posix()}": file.read_bytes() for file in files}


def decades() -> bytes:
    """Return a NetCDF file."""
    return (Path(iris_sample_data.path) / "E1_north_america.nc").read_bytes()


@contextmanager
def running(directory: Path, url: str | None = None) -> Iterator[System]:
    """Yield the system with a store in the western bucket and a file in the eastern one, never synced.

    Parameters
    ----------
    directory
        For the configuration, and for the catalog where `url` does not name one.
    url
        Of the catalog.
    """
    url = url or f"sqlite:///{directory}/catalog.sqlite"
    contents, fsx = zarr_store(), _FakeFsx()
    lambdas = _Lambdas({name: _load_handler(folder) for name, folder in FUNCTIONS.items()})
    services: DefaultConfig = {
        "lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True},
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        _set_environment(patch, directory, url)
        patch.setattr(LambdaSimpleBackend, "invoke", _invoker(lambdas))
        patch.setattr(
            FSxResponse, "create_data_repository_task", lambda self: fsx.create(self), raising=False
        )
        patch.setattr(
            FSxResponse, "describe_data_repository_tasks", lambda self: fsx.describe(self), raising=False
        )
        with mock_aws(config=services):
            _make_regions()
            system = System(url, fsx, lambdas)
            system.put(WEST, "data-a1b", contents)
            system.put(EAST, "data-e1", {"1860/01/data/air_temperature.nc": decades()})
            yield system


def _set_environment(patch: pytest.MonkeyPatch, directory: Path, url: str) -> None:
    for name, value in {
        "AWS_DEFAULT_REGION": CLIENT,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SYSTEM_NAME": "dask-regions",
        "DATASETS_FILE": str(_configuration(directory)),
        "CATALOG_URL": url,
        "STAGING_BUCKET": STAGING,
    }.items():
        patch.setenv(name, value)
    patch.delenv("AWS_ENDPOINT_URL", raising=False)


def _make_regions() -> None:
    for region, bucket in ((CLIENT, STAGING), (WEST, "data-a1b"), (EAST, "data-e1")):
        place: Any = {} if region == EAST else {"LocationConstraint": region}
        more = {"CreateBucketConfiguration": place} if place else {}
        boto3.client("s3", region_name=region).create_bucket(Bucket=bucket, **more)
    for region in (WEST, EAST):
        ssm = boto3.client("ssm", region_name=region)
        ssm.put_parameter(Name=file_system_parameter("dask-regions"), Value=f"fs-{region}", Type="String")
