"""A command without AWS credentials says how to get them."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError
from click.testing import CliRunner

from dask_regions.aws.ecs import PoolService
from dask_regions.cli.conventions import ExitCode
from dask_regions.cli.main import main
from dask_regions.errors import UnavailableError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it may have found some before
    monkeypatch.setenv("DATASETS_FILE", str(ROOT / "local" / "datasets.yaml"))
    monkeypatch.setenv("DASK_REGIONS_LOCAL", str(tmp_path / "local"))


@pytest.mark.usefixtures("_nobody")
@pytest.mark.parametrize("arguments", [["pools"], ["scale", "us-west-2", "2"], ["sync"]])
def test_a_command_without_credentials_says_how_to_sign_in(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == ExitCode.DOWN
    assert result.output.startswith("error: ")
    assert "`aws configure`" in result.output
    assert "`dask-regions local`" in result.output
    assert result.output.count("\n") == 1


@pytest.mark.usefixtures("_nobody")
def test_a_region_that_is_out_of_reach_is_another_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    service = PoolService("us-west-2", "dask-regions")

    def fail(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://ecs")

    monkeypatch.setattr(service._client, "update_service", fail)
    with pytest.raises(UnavailableError, match=r"does not answer.*check .* the network") as caught:
        service.set_desired(1)
    assert isinstance(caught.value.__cause__, BotoCoreError)
    assert "sign in" not in str(caught.value)
