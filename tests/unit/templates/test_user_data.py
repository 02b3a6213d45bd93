"""What a host does when it starts: its launch template's script, with stand-ins for what it calls."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from testing.templates import template

SCRIPT = template("regional_stack/workers.yaml")["Resources"]["HostTemplate"]["Properties"][
    "LaunchTemplateData"
]["UserData"]["Fn::Base64"]["Fn::Sub"]
COMMANDS = ("aws", "chmod", "curl", "dnf", "lsblk", "mkfs.xfs", "mount", "shutdown", "sleep", "systemctl")


class Host:
    """A directory in which the script runs; each stand-in notes its call, and fails where it is told to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.replies = {"curl": "i-0123", "lsblk": "/dev/nvme0n1 Amazon Elastic Block Store"}
        self.failing: set[str] = set()
        for path in ("etc/ecs", "dev", "bin"):
            (directory / path).mkdir(parents=True)

    def start(self, file_system: str = "fs-1.fsx.us-west-2.amazonaws.com") -> list[str]:
        """Run the script; return the calls of its commands in order."""
        calls = self._directory / "calls"
        calls.write_text("")
        for command in COMMANDS:
            stand_in = self._directory / "bin" / command
            reply, code = self.replies.get(command, ""), int(command in self.failing)
            stand_in.write_text(f'#!/bin/sh\necho "{command} $*" >> {calls}\necho "{reply}"\nexit {code}\n')
            stand_in.chmod(0o755)
        path = f"{self._directory / 'bin'}:{os.environ['PATH']}"
        subprocess.run(
            ["bash", "-c", self._script(file_system)],
            env={"PATH": path},
            check=False,
            capture_output=True,
            timeout=60,
        )
        return calls.read_text().splitlines()

    def _script(self, file_system: str) -> str:
        values = {
            "FileSystemDns": file_system,
            "FileSystemMountName": "abcd",
            "SystemName": "tides",
            "AWS::Region": "us-west-2",
            "LogGroup": "/dask-regions/tides/workers",
        }
        script = re.sub(r"\$\{([A-Z][\w:]*)\}", lambda match: values[match[1]], SCRIPT)
        script = script.replace("${!", "${")
        for place in ("/etc/", "/dev/console", "/fsx", "/spill"):
            script = re.sub(rf"(?<![\w/]){place}", f"{self._directory}{place}", script)
        return script

    def read(self, path: str) -> str:
        file = self._directory / path
        return file.read_text() if file.exists() else ""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_joins_its_cluster_when_the_files_are_mounted(host: Host) -> None:
    calls = host.start()
    assert "ECS_CLUSTER=tides" in host.read("etc/ecs/ecs.config").splitlines()
    assert "ECS_AWSVPC_BLOCK_IMDS=true" in host.read("etc/ecs/ecs.config").splitlines()
    assert "fs-1.fsx.us-west-2.amazonaws.com@tcp:/abcd" in host.read("etc/fstab")
    assert not any(call.startswith(("shutdown", "mkfs")) for call in calls)


def test_a_host_whose_mount_fails_says_why_and_ends_without_joining_a_cluster(host: Host) -> None:
    host.failing = {"mount"}
    calls = host.start()
    assert sum(call.startswith("mount ") for call in calls) > 5, "it tries again"
    assert "ECS_CLUSTER" not in host.read("etc/ecs/ecs.config")
    assert "Host i-0123 ends itself" in host.read("dev/console")
    assert "mount" in host.read("dev/console")
    assert "systemctl mask --now ecs" in calls, "the agent would join the cluster `default`"
    (put,) = (call for call in calls if call.startswith("aws logs put-log-events"))
    assert "--log-group-name /dask-regions/tides/workers" in put
    assert "--log-stream-name host/i-0123" in put
    assert calls[-1] == "shutdown -h now"


def test_a_host_without_a_way_out_ends_too(host: Host) -> None:
    host.failing = {"dnf", "aws", "curl", "systemctl"}
    assert host.start()[-1] == "shutdown -h now"
    assert "ends itself" in host.read("dev/console")


def test_an_nvme_disk_takes_what_workers_spill(host: Host) -> None:
    host.replies["lsblk"] = (
        "/dev/nvme0n1 Amazon Elastic Block Store\n/dev/nvme1n1 Amazon EC2 NVMe Instance Storage"
    )
    calls = host.start()
    assert "mkfs.xfs -f /dev/nvme1n1" in calls
    (mounted,) = (call for call in calls if call.startswith("mount /dev/nvme1n1"))
    assert mounted.endswith("/spill")
    assert calls[-1].startswith("chmod 1777")


def test_a_region_without_a_file_system_mounts_none(host: Host) -> None:
    calls = host.start(file_system="")
    assert not any(call.startswith("mount") for call in calls)
    assert "ECS_CLUSTER=tides" in host.read("etc/ecs/ecs.config")
