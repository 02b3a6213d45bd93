"""The environment: explicit beats environment beats default, and mistakes name the variable."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_regions.errors import ConfigurationError
from dask_regions.settings import Settings, set_default

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "dask_regions" / "src" / "dask_regions"
LOCAL = ROOT / "local" / "src" / "dask_regions_local"
#: Where the environment may be read, and why.
READERS = {
    PACKAGE / "settings.py": "it is the one place",
    LOCAL / "settings.py": "local mode has variables of its own",
}


def test_defaults_hold_in_an_empty_environment() -> None:
    settings = Settings.from_environment({})
    assert settings.system_name == "dask-regions"
    assert settings.target_duration == 90
    assert settings.catalog_url is None


def test_the_environment_beats_the_default() -> None:
    environ = {"SYSTEM_NAME": "climate", "TARGET_DURATION": "30", "DATASETS_FILE": "/opt/datasets.yaml"}
    settings = Settings.from_environment(environ)
    assert (settings.system_name, settings.target_duration) == ("climate", 30.0)
    assert settings.datasets_file == Path("/opt/datasets.yaml")


def test_an_explicit_argument_beats_the_environment() -> None:
    environ = {"SYSTEM_NAME": "climate", "AWS_REGION": "us-west-2"}
    settings = Settings.from_environment(environ, system_name="weather", aws_region=None)
    assert (settings.system_name, settings.aws_region) == ("weather", "us-west-2")


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGING_BUCKET", "staging")
    assert Settings.from_environment().staging_bucket == "staging"


def test_an_empty_variable_counts_as_absent() -> None:
    assert Settings.from_environment({"TARGET_DURATION": "", "CATALOG_URL": ""}) == Settings()


def test_require_names_the_variable_to_set() -> None:
    with pytest.raises(ConfigurationError, match=r"CATALOG_URL is not set; set this"):
        Settings().require("catalog_url")


def test_every_wrong_value_is_reported_with_its_variable() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"TARGET_DURATION": "soon", "SYSTEM_NAME": "No Spaces"})
    first, second = sorted(caught.value.problems)
    assert first.startswith("SYSTEM_NAME='No Spaces'")
    assert second.startswith("TARGET_DURATION='soon'")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "90s"])
def test_seconds_are_a_number_above_zero(seconds: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^TARGET_DURATION=.* above 0; correct this"):
        Settings.from_environment({"TARGET_DURATION": seconds})


@pytest.mark.parametrize("name", ["Upper", "1st", "a" * 41, "a_b", "a\n"])
def test_a_systems_name_fits_the_names_of_resources(name: str) -> None:
    with pytest.raises(ConfigurationError, match="letters, digits and hyphens"):
        Settings.from_environment({"SYSTEM_NAME": name})


_READING = {"environ", "environb", "getenv", "getenvb"}


def environment_reads(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that name ``os.environ`` or ``os.getenv``, however they were imported."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.alias(name=name) if name in _READING:
                yield node.lineno


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("import os\nos.environ.get('A')", True),
        ("import os as system\nsystem.getenv('A')", True),
        ("from os import environ as variables", True),
        ("def arguments(environ): return environ['A']", False),
    ],
)
def test_a_read_of_the_environment_is_seen(source: str, reads: bool) -> None:
    assert bool(list(environment_reads(ast.parse(source)))) == reads


def test_the_environment_is_read_in_settings_alone() -> None:
    reads = {
        f"{path.relative_to(ROOT)}:{line}"
        for folder in (PACKAGE, LOCAL, ROOT / "functions")
        for path in folder.rglob("*.py")
        if path not in READERS
        for line in environment_reads(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert reads == set(), "add a field to Settings, or say in READERS why not"


def test_a_default_of_the_environment_does_not_replace_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_REGIONS_TEST_SET", "before")
    monkeypatch.setenv("DASK_REGIONS_TEST_UNSET", "")
    monkeypatch.delenv("DASK_REGIONS_TEST_UNSET")
    set_default(DASK_REGIONS_TEST_SET="after", DASK_REGIONS_TEST_UNSET="after")
    assert os.environ["DASK_REGIONS_TEST_SET"] == "before"
    assert os.environ["DASK_REGIONS_TEST_UNSET"] == "after"
