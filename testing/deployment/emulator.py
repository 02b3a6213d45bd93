"""Start ministack with our provisioners, on loopback, and ask it for stacks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from dask_regions_local.emulator.processes.lifecycle import Process

__all__ = ["Emulator", "running"]

_ROOT = Path(__file__).parents[2]
#: Its environment, which `make .cache/deployment` builds from requirements.txt.
_PYTHON = _ROOT / ".cache" / "deployment" / "bin" / "python"
_SAM = Path(sys.executable).with_name("sam")
_START_SECONDS = 120
_COMMAND_SECONDS = 300
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True)
class Emulator:
    """An emulated AWS account.

    Attributes
    ----------
    address
        Endpoint of every service in every Region.
    directory
        Where its log is, and what it stores.
    """

    address: str
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables that point ``sam`` and boto3 here."""
        variables = {**os.environ, **_CREDENTIALS, "AWS_ENDPOINT_URL": self.address}
        # `sam` looks for news of a stack every five seconds; here a stack takes less.
        variables |= {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "1"}
        variables.pop("AWS_DEFAULT_REGION", None)
        return variables

    def client(self, service: Any, region: str) -> Any:
        """Return a client of a service."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.address,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def sam(
        self, directory: Path, *arguments: str, path: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``sam`` in a directory, with a PATH of its own if given; its messages are in ``stdout``."""
        return subprocess.run(
            [str(_SAM), *arguments],
            cwd=directory,
            env=self.environment | ({"PATH": path} if path else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )

    def advance(self, seconds: float) -> None:
        """Set the clock of schedules ahead of this machine's."""
        (self.directory / "clock-seconds").write_text(str(seconds))

    def create(self, region: str, name: str, template: str, parameters: Mapping[str, str]) -> str:
        """Create a stack and wait for its end; return its status."""
        self.client("cloudformation", region).create_stack(
            StackName=name,
            TemplateBody=template,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": text} for key, text in parameters.items()],
        )
        return self._settled(region, name)

    def delete(self, region: str, name: str) -> str:
        """Delete a stack and wait for its end; return its status, ``""`` where it is gone."""
        stacks = self.client("cloudformation", region)
        identifier = stacks.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        stacks.delete_stack(StackName=name)
        status = self._settled(region, identifier)
        return "" if status == "DELETE_COMPLETE" else status

    def reasons(self, region: str, name: str) -> str:
        """Return why resources of a stack, or of one nested in it, failed; one reason a line."""
        stacks = self.client("cloudformation", region)
        events = stacks.describe_stack_events(StackName=name)["StackEvents"]
        return "\n".join(
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        )

    def _settled(self, region: str, name: str) -> str:
        stacks = self.client("cloudformation", region)
        while True:
            status: str = stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            if not status.endswith("IN_PROGRESS"):
                return status
            time.sleep(0.1)


@contextmanager
def running(directory: Path) -> Iterator[Emulator]:
    """Yield an account in which nothing is yet; the directory takes the log."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "TMPDIR": str(directory),
    }
    log = directory / "emulator.log"
    process = Process(
        [str(_PYTHON), "-m", "provisioners.serve"], env=environment, cwd=Path(__file__).parent, log=log
    )
    try:
        _wait(process, f"http://127.0.0.1:{port}", log)
        yield Emulator(f"http://127.0.0.1:{port}", directory)
    finally:
        process.kill()


def _wait(process: Process, address: str, log: Path) -> None:
    for _ in range(_START_SECONDS * 10):
        try:
            with urllib.request.urlopen(f"{address}/_ministack/health", timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.returncode is not None:
                break
            time.sleep(0.1)
    raise RuntimeError(f"the emulator did not start: {log.read_text(errors='replace')[-3000:]}")
