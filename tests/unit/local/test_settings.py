"""What local mode takes from the environment, and what it passes on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dask_regions_local
from dask_regions_local.emulator.processes.environment import child_environment
from dask_regions_local.settings import ROOT, Settings

PACKAGE = Path(dask_regions_local.__file__).parent


def test_the_root_is_the_checkout() -> None:
    assert (ROOT / "template.yaml").is_file()
    assert PACKAGE.is_relative_to(ROOT / "local")


@pytest.mark.parametrize(("environ", "uv"), [({}, None), ({"UV": ""}, None), ({"UV": "/bin/uv"}, "/bin/uv")])
def test_uv_is_taken_from_the_environment(environ: dict[str, str], uv: str | None) -> None:
    assert Settings.from_environment(environ).uv == uv


def test_the_environment_is_read_in_settings_alone() -> None:
    readers = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os")
    }
    assert readers == {"settings.py"}


def test_a_child_gets_nothing_of_this_process_but_what_describes_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    variables = child_environment("us-west-2", "http://127.0.0.1:1", {"SYSTEM_NAME": "a"}, {"HOST": "b"})
    machine = {name: variables.pop(name) for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in variables}
    assert machine["PATH"] == "/bin"
    assert variables == {
        "AWS_REGION": "us-west-2",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "SYSTEM_NAME": "a",
        "HOST": "b",
    }


def test_a_template_cannot_lead_a_child_to_a_real_account() -> None:
    declared = {"AWS_ACCESS_KEY_ID": "real", "AWS_ENDPOINT_URL": "https://aws", "HOST": "declared"}
    variables = child_environment("us-west-2", "http://127.0.0.1:1", declared, {"HOST": "service"})
    assert variables["AWS_ACCESS_KEY_ID"] == "local"
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert variables["HOST"] == "service"
