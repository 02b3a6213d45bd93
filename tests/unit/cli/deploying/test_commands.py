"""The commands that deploy, as far as they come without an account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from dask_regions.cli.deploying import deploy
from dask_regions.cli.deploying.system import find
from dask_regions.deploy.checking import buckets
from dask_regions.deploy.checkout import Checkout
from dask_regions.errors import NotFoundError

ROOT = Path(__file__).parents[4]


@pytest.fixture
def in_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")


@pytest.fixture
def expired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let AWS refuse whatever it is asked, because the login has expired."""

    def refuse(*_: Any) -> None:
        raise ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "old"}}, "Any")

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def test_config_writes_once_and_check_tells_what_would_change(
    run: Any, in_checkout: None, tmp_path: Path
) -> None:
    option = ("--samconfig", str(tmp_path / "samconfig.toml"))
    assert run("config", "--check", *option).exit_code == 1
    assert not (tmp_path / "samconfig.toml").exists()
    assert json.loads(run("config", "--json", *option).output)["changed"] is True
    assert run("config", "--check", *option).exit_code == 0
    assert json.loads(run("config", "--json", *option).output)["changed"] is False


def test_a_dry_run_shows_the_commands_in_order_and_needs_no_account(run: Any, in_checkout: None) -> None:
    done = run("deploy", "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    commands = json.loads(done.output)["commands"]
    environments = [command[command.index("--config-env") + 1] for command in commands]
    assert environments[0] == "images-eu-west-2"
    assert environments.index("images-us-west-2") < environments.index("client")
    assert [command[1] for command in commands].count("build") == 1


def test_one_worker_region_needs_the_client_regions_repositories_and_no_build(
    run: Any, in_checkout: None
) -> None:
    lines = run("deploy", "us-west-2", "--dry-run").output.splitlines()
    assert [line.split("--config-env ")[1].split()[0] for line in lines] == [
        "images-eu-west-2",
        "images-us-west-2",
        "us-west-2",
    ]


def test_a_region_with_a_typo_is_told(run: Any, in_checkout: None) -> None:
    done = run("deploy", "us-west-3", "--dry-run")
    assert done.exit_code == 3
    assert "did you mean us-west-2?" in done.stderr


@pytest.mark.parametrize("command", ["deploy", "remove", "quotas", "images"])
def test_an_expired_login_is_told_before_anything_is_done(
    run: Any, in_checkout: None, expired: None, command: str, tmp_path: Path
) -> None:
    done = run(command, "--samconfig", str(tmp_path / "samconfig.toml"))
    assert done.exit_code == 5
    assert "the login has expired; sign in again: `aws sso login`" in done.stderr
    assert not (tmp_path / "samconfig.toml").exists()


def test_outside_a_checkout_it_says_what_to_do(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("deploy", "--dry-run")
    assert done.exit_code == 2
    assert "clone the repository, and run this in it" in done.stderr


def test_the_client_region_cannot_leave(run: Any, in_checkout: None) -> None:
    done = run("leave", "eu-west-2")
    assert done.exit_code == 2
    assert "is the client Region" in done.stderr


def test_a_program_that_is_not_installed_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFoundError, match=r"`make setup` in .* installs what is needed"):
        Checkout(ROOT).program("no-such-program")


def test_a_bucket_elsewhere_is_told_before_a_deployment(
    in_checkout: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        buckets,
        "problem_of_bucket",
        lambda copy: f"bucket {copy.bucket} is elsewhere" if copy.id == "era5" else None,
    )
    lines: list[str] = []
    deploy.warn_of_buckets(find(None), lines.append)
    assert lines == ["datasets.yaml: dataset 'era5' in us-west-2: bucket nsf-ncar-era5 is elsewhere"]
