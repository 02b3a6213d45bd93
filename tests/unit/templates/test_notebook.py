"""The notebook instance is closed, encrypted, prepared at each start, and stops when nobody works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dask_regions import names
from testing.templates import ROOT, template

SYSTEM = "dask-regions"
FILES = ROOT / "layers/dask_regions/notebook_instance"
NOTEBOOK = template("regional_stack/notebook.yaml")["Resources"]
INSTANCE = NOTEBOOK["Instance"]["Properties"]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LIMIT = timedelta(minutes=60)


def test_the_instance_has_no_public_interface_no_root_and_no_old_metadata_service() -> None:
    assert INSTANCE["DirectInternetAccess"] == "Disabled"
    assert INSTANCE["RootAccess"] == "Disabled"
    assert INSTANCE["InstanceMetadataServiceConfiguration"] == {"MinimumInstanceMetadataServiceVersion": "2"}
    assert INSTANCE["SubnetId"] == {"Ref": "SubnetId"}


def test_the_instance_reaches_scheduler_workers_and_https_only_and_nobody_reaches_it() -> None:
    group = NOTEBOOK["SecurityGroup"]["Properties"]
    assert "SecurityGroupIngress" not in group
    egress = {(rule["FromPort"], rule["ToPort"]) for rule in group["SecurityGroupEgress"]}
    assert egress == {(443, 443), names.SCHEDULER_PORTS, names.WORKER_PORTS}


def test_what_runs_at_each_start_fits_and_leaves_what_takes_longer_to_the_background() -> None:
    (script,) = NOTEBOOK["LifecycleConfig"]["Properties"]["OnStart"]
    text = script["Content"]["Fn::Base64"]["Fn::Sub"]
    assert len(text) * 4 / 3 < 16384  # characters in base64
    assert re.search(r"^nohup .*start\.sh .* &$", text.strip().splitlines()[-1])


def test_the_layer_s_target_copies_what_the_instance_runs() -> None:
    recipe = (ROOT / "layers/dask_regions/Makefile").read_text().split("build-NotebookEnvironment:")[1]
    assert all(f"notebook_instance/{path.name}" in recipe for path in FILES.iterdir() if path.is_file())


def test_the_instance_installs_with_the_uv_of_the_makefile() -> None:
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"uv=={version} --hash=sha256:" in (FILES / "uv.txt").read_text()


# ---- start.sh, with everything that it calls in its place ----

FAKES = {
    "sudo": 'shift 2; exec "$@"',
    "systemctl": "true",
    "aws": 'echo "$*" >> "$CALLS/aws"; case "$*" in '
    '*scheduler*) echo \'{"address": "tcp://scheduler.s.internal:8786", '
    '"dashboard_url": "http://scheduler.s.internal:8787/status"}\';; '
    '*api*) [ -z "$NO_API" ] && echo https://api.example.org;; esac',
    # Of a virtual environment, the two programs that are called; all else is Python's.
    "python3": 'if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin"; cp "$FAKES/pip" "$FAKES/uv" "$3/bin/"; '
    'else exec "$PYTHON" "$@"; fi',
    "pip": 'echo "$*" >> "$CALLS/pip"',
    "uv": 'echo "$*" >> "$CALLS/uv"; if [ "$2" = venv ]; then mkdir -p "${@: -1}/bin"; '
    'cp "$FAKES/kernel" "${@: -1}/bin/python"; fi',
    "kernel": 'echo "$*" >> "$CALLS/kernel"',
}


class Instance:
    """A directory that stands for the instance, on which start.sh may run."""

    def __init__(self, folder: Path) -> None:
        self.home, self.calls, self.artefact = folder / "home", folder / "calls", folder / "artefact"
        self._fakes, self.units = folder / "fakes", folder / "units"
        for each in (self.home / "SageMaker", self.calls, self._fakes, self.units):
            each.mkdir(parents=True)
        for name, body in FAKES.items():
            fake = self._fakes / name
            fake.write_text(f"#!/bin/bash\n{body}\n")
            fake.chmod(0o755)
        shutil.copytree(FILES, self.artefact)
        (self.artefact / "notebooks").mkdir()
        (self.artefact / "notebooks" / "scenarios.ipynb").write_text("{}")
        (self.artefact / "requirements.txt").write_text("dask==1 --hash=sha256:00\n")
        (self.artefact / "python-version").write_text("3.13\n")
        (self.artefact / "dask_regions-0.1.0-py3-none-any.whl").write_text("wheel")

    def start(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self._fakes}:{os.environ['PATH']}",
            "PYTHON": shutil.which("python3") or "",
            "FAKES": str(self._fakes),
            "CALLS": str(self.calls),
            "NOTEBOOK_HOME": str(self.home),
            "SYSTEMD_UNITS": str(self.units),
            "RETRY_SECONDS": "0",
            **variables,
        }
        command = ["bash", str(self.artefact / "start.sh"), "s", "eu-west-2", "s-notebook", "60"]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def told(self, program: str) -> str:
        path = self.calls / program
        return path.read_text() if path.exists() else ""


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def test_a_start_installs_by_hashes_and_gives_the_kernel_both_addresses(instance: Instance) -> None:
    run = instance.start()
    assert run.returncode == 0, run.stderr
    assert "--require-hashes" in instance.told("pip")
    assert re.search(r"pip install .*--require-hashes .*requirements\.txt", instance.told("uv"))
    kernel = instance.told("kernel")
    assert "DASK_REGIONS_SCHEDULER tcp://scheduler.s.internal:8786" in kernel
    assert "DASK_REGIONS_API https://api.example.org" in kernel
    assert "s-notebook.notebook.eu-west-2.sagemaker.aws/proxy/8787/status" in kernel
    forward = (instance.units / "dask-dashboard.service").read_text()
    assert "scheduler.s.internal:8787" in forward
    asked = re.findall(r"--name (\S+)", instance.told("aws"))
    assert asked == [names.scheduler_parameter("s"), names.api_parameter("s")]


def test_a_second_start_installs_nothing_and_leaves_changed_notebooks_alone(instance: Instance) -> None:
    instance.start()
    (folder,) = instance.home.glob("SageMaker/notebooks-*")
    (folder / "scenarios.ipynb").write_text("mine")
    installed = instance.told("uv")
    assert instance.start().returncode == 0
    assert instance.told("uv") == installed
    assert (folder / "scenarios.ipynb").read_text() == "mine"


def test_a_new_release_is_installed_beside_and_the_old_environment_goes(instance: Instance) -> None:
    instance.start()
    (instance.artefact / "requirements.txt").write_text("dask==2 --hash=sha256:00\n")
    assert instance.start().returncode == 0
    assert len(list(instance.home.glob("SageMaker/.dask-regions/environment-*"))) == 1
    assert len(list(instance.home.glob("SageMaker/notebooks-*"))) == 2


def test_without_addresses_the_log_says_what_to_do_and_the_instance_still_stops_when_idle(
    instance: Instance,
) -> None:
    run = instance.start(NO_API="1")
    assert run.returncode != 0
    assert "/dask-regions/s/api is not there; deploy the client stack" in run.stderr
    assert (instance.units / "stop-when-idle.timer").exists()


# ---- stop_when_idle.py ----


@pytest.fixture(scope="module")
def stopping() -> ModuleType:
    spec = spec_from_file_location("stop_when_idle", FILES / "stop_when_idle.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ago(minutes: int) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def kernel(state: str, minutes: int) -> dict[str, Any]:
    return {"execution_state": state, "last_activity": ago(minutes)}


@pytest.mark.parametrize(
    ("started", "kernels", "terminals", "idle"),
    [
        (90, [], [], True),
        (30, [], [], False),
        (90, [kernel("idle", 61)], [{"last_activity": ago(61)}], True),
        (90, [kernel("idle", 61), kernel("idle", 59)], [], False),
        (90, [kernel("busy", 80)], [], False),
        (90, [kernel("idle", 80)], [{"last_activity": ago(5)}], False),
    ],
)
def test_an_instance_is_idle_when_nothing_was_done_for_the_limit(
    stopping: ModuleType, started: int, kernels: list[Any], terminals: list[Any], idle: bool
) -> None:
    assert stopping.is_idle(ago(started), kernels, terminals, NOW, LIMIT) is idle


def test_only_an_idle_instance_is_stopped(stopping: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[dict[str, str]] = []

    class SageMaker:
        def stop_notebook_instance(self, **request: str) -> None:
            stopped.append(request)

    monkeypatch.setattr("boto3.client", lambda *_, **__: SageMaker())
    answers: dict[str, Any] = {
        "/api/status": {"started": "2020-01-01T00:00:00Z"},
        "/api/kernels": [],
        "/api/terminals": [],
    }
    monkeypatch.setattr(stopping, "ask", lambda path: json.loads(json.dumps(answers[path])))
    stopping.main("s-notebook", "eu-west-2", "60")
    assert stopped == [{"NotebookInstanceName": "s-notebook"}]
    answers["/api/kernels"] = [kernel("busy", 0)]
    stopping.main("s-notebook", "eu-west-2", "60")
    assert len(stopped) == 1
