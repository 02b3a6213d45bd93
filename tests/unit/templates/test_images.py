"""The images agree with the task definitions that run them, and with the uv that made the lock file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "containers" / "Dockerfile").read_text(encoding="utf-8")
SCHEDULER, WORKERS = (
    yaml_parse((ROOT / "regional_stack" / f"{name}.yaml").read_text()) for name in ("scheduler", "workers")
)


def test_images_are_built_with_the_uv_that_made_the_lock_file() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", makefile, re.MULTILINE)
    assert re.findall(r"^ARG UV_VERSION=(\S+)$", DOCKERFILE, re.MULTILINE) == [version]


@pytest.mark.parametrize(("target", "document"), [("scheduler", SCHEDULER), ("worker", WORKERS)])
def test_images_run_the_command_of_their_task_definition(target: str, document: dict[str, Any]) -> None:
    stage = DOCKERFILE.split(f"AS {target}\n")[1].split("FROM")[0]
    (command,) = re.findall(r"^CMD (.*)$", stage, re.MULTILINE)
    (container,) = document["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    assert json.loads(command) == container["Command"]
    (repository,) = re.findall(r"/\$\{SystemName\}-(\w+):", container["Image"]["Fn::Sub"])
    assert repository == target
    (options, check) = re.findall(r"^HEALTHCHECK (.*) \\\n    CMD (.*)$", stage, re.MULTILINE)[0]
    health = container["HealthCheck"]
    assert ["CMD", *json.loads(check)] == health["Command"]
    numbers = {name: int(number) for name, number in re.findall(r"--([a-z-]+)=(\d+)", options)}
    assert numbers == {
        "start-period": health["StartPeriod"],
        "interval": health["Interval"],
        "timeout": health["Timeout"],
        "retries": health["Retries"],
    }


def test_codebuild_builds_on_the_dockerfile_s_base_with_buildkit() -> None:
    builder = yaml_parse((ROOT / "regional_stack" / "builder.yaml").read_text())["Resources"]["Project"]
    variables = builder["Properties"]["Environment"]["EnvironmentVariables"]
    values = {variable["Name"]: variable["Value"] for variable in variables}
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert values["BASE"] == f"public.ecr.aws/docker/library/{base}"
    assert values["DOCKER_BUILDKIT"] == "1"
