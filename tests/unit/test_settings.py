"""The environment: explicit beats environment beats default, and mistakes name the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_regions.errors import ConfigurationError
from dask_regions.settings import Settings


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
