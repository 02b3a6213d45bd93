"""What local mode says where something is wrong with the checkout, the machine or a request."""

from __future__ import annotations

import http.client
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import xarray as xr
from rich.console import Console

from dask_regions.config import load
from dask_regions.errors import ConfigurationError, DaskRegionsError, UnavailableError
from dask_regions_local import commands
from dask_regions_local.demo import data, run
from dask_regions_local.emulator.aws import Aws, serve
from dask_regions_local.emulator.deploy import Deployment
from dask_regions_local.emulator.functions import layers
from dask_regions_local.emulator.functions.lambdas import Function, Functions
from dask_regions_local.emulator.functions.layers import build_layer
from dask_regions_local.emulator.http.front import HttpApi
from dask_regions_local.emulator.http.server import Request, Response, Server
from dask_regions_local.emulator.processes.lifecycle import exclusive
from dask_regions_local.emulator.storage import Storage
from dask_regions_local.emulator.system import LocalSystem
from dask_regions_local.emulator.templates import read_template
from dask_regions_local.settings import ROOT
from testing.waiting import WAIT_SECONDS

REGION = "us-west-2"


@pytest.fixture
def aws() -> Iterator[Aws]:
    with serve(REGION) as endpoint:
        yield endpoint


@pytest.fixture
def deployment(aws: Aws, tmp_path: Path) -> Iterator[Deployment]:
    functions = Functions(tmp_path, tmp_path, str, aws.endpoint)
    with ThreadPoolExecutor(1) as executor:
        yield Deployment(aws, functions, HttpApi(), tmp_path, executor)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Resources: {a: [", "is not YAML .*line 1"),
        ("", "has no Resources"),
        ("[]", "has no Resources"),
        ("Resources: [a]", "has no Resources"),
        ("Resources: {A: {}, B: {Type: T, Properties: []}}", r"A is no resource.*\n.*B is no resource"),
    ],
)
def test_a_file_that_is_no_template_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=f"(?s){path}: {message}"):
        read_template(path)


ALARM = "Dimensions: [], Namespace: n, MetricName: m, Period: 10, EvaluationPeriods: 1, Threshold: 1"


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ("{Type: AWS::CloudFormation::Stack}", "KeyError: 'TemplateURL'"),
        ("{Type: AWS::Events::EventBus}", "KeyError: 'Name'"),
        ("{Type: AWS::Events::EventBus, Properties: {Name: {a: b}}}", "ParamValidationError"),
        ("{Type: T, Properties: {A: !Select [1, [a]]}}", "IndexError"),
        ("{Type: T, Condition: None}", "KeyError"),
        (
            f"{{Type: AWS::CloudWatch::Alarm, Properties: {{{ALARM}, ComparisonOperator: Bigger}}}}",
            "its ComparisonOperator is none of Greater",
        ),
        (
            "{Type: AWS::ECS::TaskDefinition, Properties: {Memory: 1, ContainerDefinitions: [{Name: a}]}}",
            "a container has no Command",
        ),
    ],
)
def test_a_resource_that_cannot_be_made_is_named(
    deployment: Deployment, tmp_path: Path, resource: str, message: str
) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(f"Resources: {{Thing: {resource}}}")
    with pytest.raises(ConfigurationError, match=rf"stack s in {REGION}: Thing cannot be made .*{message}"):
        deployment.deploy("s", REGION, path, {})


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("Type: AWS::Serverless::Function, Properties: {CodeUri: nowhere}", "CodeUri .*nowhere is no folder"),
        ("Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: gone.json}", "No such file"),
        (
            "Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: bad.json}",
            "is not JSON .*line 2",
        ),
    ],
)
def test_a_file_that_a_template_names_has_to_be_right(
    deployment: Deployment, tmp_path: Path, properties: str, message: str
) -> None:
    (tmp_path / "bad.json").write_text('{\n"StartAt": A}')
    (tmp_path / "template.yaml").write_text(
        "Transform: AWS::Serverless-2016-10-31\n"
        "Globals: {Function: {Runtime: python3.13, Handler: app.handler}}\n"
        f"Resources: {{Thing: {{{properties}}}}}"
    )
    with pytest.raises(ConfigurationError, match=message):
        deployment.deploy("s", REGION, tmp_path / "template.yaml", {})


def test_a_layer_that_cannot_be_built_ends_the_start(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "layer").mkdir()
    (tmp_path / "template.yaml").write_text(
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources: {L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer}}}"
    )
    deployment.deploy("s", REGION, tmp_path / "template.yaml", {})
    with pytest.raises(UnavailableError, match=r"could not be built|uv was not found"):
        deployment.finish()


def test_a_directory_of_a_bucket_that_no_dataset_names_is_left_alone(aws: Aws, tmp_path: Path) -> None:
    for bucket in ("demo-a1b-us-west-2", "renamed"):
        (tmp_path / REGION / bucket).mkdir(parents=True)
        (tmp_path / REGION / bucket / "key").touch()
    storage = Storage(aws, tmp_path, load(ROOT / "local" / "datasets.yaml"))
    storage.create()
    assert storage.upload() == 1


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout below a name with a space, with the real Makefile and a uv that installs nothing."""
    root = tmp_path / "a root"
    source = root / "layers" / "dask_regions"
    (source / "src" / "dask_regions").mkdir(parents=True)
    shutil.copy(ROOT / "layers" / "dask_regions" / "Makefile", source)
    (source / "src" / "dask_regions" / "first.py").touch()
    uv = root / "a uv"
    uv.write_text('#!/bin/sh\nif [ "$1" = export ]; then echo "$@"; else mkdir -p "$8"; fi\n')
    uv.chmod(0o755)
    monkeypatch.setenv("UV", str(uv))
    return root


@pytest.mark.parametrize(
    ("name", "content"), [("DaskRegionsLayer", {"python"}), ("HarvestLayer", {"python"})]
)
def test_layers_are_built_in_a_directory_with_a_space(root: Path, name: str, content: set[str]) -> None:
    built = build_layer(name, root / "layers" / "dask_regions", root)
    # Nothing else, such as a configuration: a layer is not rebuilt for a dataset.
    assert {path.name for path in built.iterdir()} == content
    assert list(built.glob("*.txt")) == []


def test_a_folder_that_is_renamed_is_another_layer(root: Path) -> None:
    source = root / "layers" / "dask_regions"
    package = source / "src" / "dask_regions"
    (package / "aa").mkdir()
    (package / "aa" / "module.py").touch()
    first = build_layer("DaskRegionsLayer", source, root)
    (package / "aa").rename(package / "ab")  # the order of the files stays
    second = build_layer("DaskRegionsLayer", source, root)
    assert second != first
    assert (second / "python" / "dask_regions" / "ab" / "module.py").exists()


@pytest.mark.parametrize("used", [True, False])
def test_only_a_layer_that_no_system_uses_is_removed(
    root: Path, monkeypatch: pytest.MonkeyPatch, used: bool
) -> None:
    if not used:
        monkeypatch.setattr(layers, "_use", lambda _: None)
    source = root / "layers" / "dask_regions"
    first = build_layer("DaskRegionsLayer", source, root)
    (source / "src" / "dask_regions" / "second.py").touch()
    assert build_layer("DaskRegionsLayer", source, root) != first
    assert first.is_dir() == used


def test_a_cache_that_cannot_be_written_to_is_named(root: Path) -> None:
    (root / ".cache").touch()
    with pytest.raises(UnavailableError, match=r"could not be built below .*\.cache.*make room"):
        build_layer("DaskRegionsLayer", root / "layers" / "dask_regions", root)


def test_a_machine_without_make_is_told_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(UnavailableError, match="install make"):
        build_layer("DaskRegionsLayer", root / "layers" / "dask_regions", root)


def test_no_function_starts_after_the_end(tmp_path: Path) -> None:
    functions = Functions(tmp_path, tmp_path, str, "http://127.0.0.1:1")
    layer: Future[Path] = Future()  # never done: a function that started would wait for it
    functions.add(Function("f", REGION, "arn", "app.handler", tmp_path, [layer], {}, 1, 128))
    functions.close()
    failed, error = functions.invoke(REGION, "f", b"{}")
    assert failed
    assert b"stopping" in error


def test_a_target_that_is_no_address_is_a_bad_request() -> None:
    answer = HttpApi().find(Request("GET", "http://[/search", [], b"", "127.0.0.1"))
    assert isinstance(answer, Response)
    assert answer.status == 400


@pytest.mark.parametrize("header", ["Content-Length: -1", "Content-Length: x", "Transfer-Encoding: chunked"])
def test_a_body_without_a_length_is_a_bad_request(header: str) -> None:
    with Server(lambda _: Response(200)) as server:
        connection = http.client.HTTPConnection(server.address, timeout=WAIT_SECONDS)
        connection.putrequest("POST", "/")
        connection.putheader(*header.split(": "))
        connection.endheaders(b"x\r\n")
        assert connection.getresponse().status == 400
        connection.close()


@pytest.mark.parametrize("start", [data.make, lambda directory: exclusive(directory).__enter__()])
def test_a_directory_that_cannot_be_written_to_is_named(
    tmp_path: Path, start: Callable[[Path], object]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=r"file/state cannot be written to .*--directory"):
        start(tmp_path / "file" / "state")


def test_two_processes_may_make_the_data_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = data.source

    def overtaken(scenario: str) -> xr.Dataset:
        """Let another process finish first."""
        monkeypatch.setattr(data, "source", real)
        data.make(tmp_path)
        return real(scenario)

    monkeypatch.setattr(data, "source", overtaken)
    assert all(bucket.is_dir() for bucket in data.make(tmp_path))
    assert list(tmp_path.glob("data-*")) == []


def test_a_catalog_that_fails_ends_the_main_job_in_one_line(tmp_path: Path) -> None:
    with Server(lambda _: Response(500, b'{"message":"Internal Server Error"}')) as server:
        system = SimpleNamespace(api_url=server.url, directory=tmp_path)
        with pytest.raises(DaskRegionsError, match=f"{tmp_path}/logs has the logs"):
            run._count(cast("LocalSystem", system))


def test_steps_show_paths_with_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    with run._step(Console(width=200), "Step") as step:
        step.now("in [/there]")
        step.done("made [/here] and [bold]")
    assert "made [/here] and [bold]" in capsys.readouterr().out


def test_the_hint_finds_a_system_in_another_directory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object, timeout: float | None = None) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Event, "wait", interrupted)
    names = ("api_url", "dashboard_url", "scheduler_address", "aws_endpoint")
    system: Any = SimpleNamespace(**dict.fromkeys(names, "address"))
    before = signal.getsignal(signal.SIGINT)
    try:
        commands._until_stopped(Console(width=200), system, Path("a [b]"))
        commands._until_stopped(Console(width=200), system, None)
    finally:
        signal.signal(signal.SIGINT, before)
    shown = capsys.readouterr().out
    assert "dask-regions --local 'a [b]' search --variable" in shown
    assert "dask-regions search --variable" in shown
