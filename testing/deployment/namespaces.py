"""The routes and security groups of an account, set up in Linux's network namespaces: one for each Region.

Peering connections become pairs of interfaces, security groups become rules of iptables, and the private
zone becomes a hosts file where it is associated. Not shown: Transit Gateways, rules for what leaves, and
security groups between the addresses of one Region, which share a namespace. Needs root on Linux.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO, Any, Self

from testing.deployment.reachability import doors, paths
from testing.deployment.reachability.facts import Facts
from testing.deployment.reachability.places import Place, schedulers, workers
from testing.processes import stop

__all__ = ["Namespaces", "missing_here"]

_ROOT = Path(__file__).parents[2]


def missing_here() -> str:
    """Return what this machine lacks, ``""`` where it lacks nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    programs = [name for name in ("ip", "iptables", "nsenter", "unshare") if not shutil.which(name)]
    return f"{', '.join(programs)} not installed" if programs else ""


class Namespaces:
    """A namespace for each Region that has a scheduler or workers.

    Parameters
    ----------
    facts
        Where the routes, rules and names are from.
    directory, log
        For hosts files, and for what the processes write.
    """

    def __init__(self, facts: Facts, directory: Path, log: IO[bytes]) -> None:
        self._facts, self._directory, self._log = facts, directory, log
        self._stack = ExitStack()
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        places = [*schedulers(facts), *workers(facts)]
        self._places: dict[str, Place] = {place.region: place for place in reversed(places)}
        #: Address in each Region: the tenth of the first subnet of what runs there.
        self.addresses = {
            region: str(paths.subnet_block(facts, region, place.subnets[0])[10])
            for region, place in self._places.items()
        }

    def __enter__(self) -> Self:
        """Set everything up."""
        with self._stack:
            for region in self._places:
                self._make(region)
            self._connect()
            for region in self._places:
                self._set_rules(region)
                for number in range(len(self.routes(region))):
                    self.add_route(region, number)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes; namespaces and interfaces go with them."""
        self._stack.close()

    def routes(self, region: str) -> list[Mapping[str, Any]]:
        """Return the routes of a Region that lead over peering connections."""
        place = self._places[region]
        tables = self._facts["regions"][region]["RouteTables"]
        return [
            route
            for table in tables
            for association in table["Associations"]
            if association.get("SubnetId") == place.subnets[0]
            for route in table["Routes"]
            if route.get("VpcPeeringConnectionId")
        ]

    def add_route(self, region: str, number: int) -> None:
        """Set one of a Region's routes up."""
        self._route(region, number, "add")

    def remove_route(self, region: str, number: int) -> None:
        """Take one of a Region's routes away."""
        self._route(region, number, "del")

    def start(
        self, region: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a Python program in a Region; it ends at the latest with the namespaces."""
        process = subprocess.Popen(
            [*self._inside(region), sys.executable, *arguments],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT), "AWS_REGION": region, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._stack.callback(stop, process)
        return process

    def reaches(self, source: str, destination: str, port: int) -> bool:
        """Say whether a connection from one Region to an address of another one is made."""
        program = f"import socket; socket.create_connection(({self.addresses[destination]!r}, {port}), 1)"
        command = [*self._inside(source), sys.executable, "-c", program]
        return not subprocess.run(command, capture_output=True, check=False).returncode

    def _make(self, region: str) -> None:
        holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._holders[region] = holder
        self._stack.callback(stop, holder)
        assert holder.stdout is not None
        holder.stdout.readline()
        self._run(region, "ip", "link", "set", "lo", "up")
        self._run(region, "ip", "address", "add", f"{self.addresses[region]}/32", "dev", "lo")
        hosts = self._directory / f"hosts-{region}"
        hosts.write_text("127.0.0.1 localhost\n" + self._name(region))
        self._run(region, "mount", "--bind", str(hosts), "/etc/hosts")

    def _name(self, region: str) -> str:
        """Return the line of the scheduler's name, where its zone is associated with the Region's VPC."""
        vpc = paths.vpc_of(self._facts, region, self._places[region].subnets[0])
        [scheduler] = schedulers(self._facts)
        domain = f"{self._facts['system']}.internal."
        for zone in self._facts["zones"]:
            if zone["Name"] == domain and {"VPCRegion": region, "VPCId": vpc} in zone["VPCs"]:
                return f"{self.addresses[scheduler.region]} scheduler.{domain.rstrip('.')}\n"
        return ""

    def _connect(self) -> None:
        """Make a pair of interfaces for each peering connection that is active."""
        for number, (first, second) in enumerate(sorted(self._connections().values())):
            pids = [str(self._holders[region].pid) for region in (first, second)]
            command = ["ip", "link", "add", f"to-{second}", "netns", pids[0], "type", "veth"]
            subprocess.run([*command, "peer", "name", f"to-{first}", "netns", pids[1]], check=True)
            for host, region, other in ((1, first, second), (2, second, first)):
                address = f"100.64.{number}.{host}/30"
                self._run(region, "ip", "address", "add", address, "dev", f"to-{other}")
                self._run(region, "ip", "link", "set", f"to-{other}", "up")

    def _connections(self) -> dict[str, tuple[str, str]]:
        """Return the Regions that each active peering connection joins, by its id."""
        return {
            record["VpcPeeringConnectionId"]: (
                record["RequesterVpcInfo"]["Region"],
                record["AccepterVpcInfo"]["Region"],
            )
            for records in self._facts["regions"].values()
            for record in records["VpcPeeringConnections"]
            if record["Status"]["Code"] == "active"
        }

    def _route(self, region: str, number: int, action: str) -> None:
        route = self.routes(region)[number]
        connections = self._connections()
        ends = connections[route["VpcPeeringConnectionId"]]
        other = ends[1 - ends.index(region)]
        index, host = sorted(connections.values()).index(ends), 2 - ends.index(region)
        gateway = ["via", f"100.64.{index}.{host}", "dev", f"to-{other}", "src", self.addresses[region]]
        self._run(region, "ip", "route", action, route["DestinationCidrBlock"], *gateway)

    def _set_rules(self, region: str) -> None:
        accept = ["-A", "INPUT", "-j", "ACCEPT"]
        self._run(region, "iptables", "-P", "INPUT", "DROP")
        self._run(region, "iptables", *accept, "-i", "lo")
        established = ["-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED"]
        self._run(region, "iptables", *accept, *established)
        groups = self._places[region].groups
        for source, (first, last) in doors.openings(self._facts, region, groups, "IpPermissions"):
            if isinstance(source, IPv4Network):
                ports = ["-p", "tcp", "--dport", f"{first}:{last}"]
                self._run(region, "iptables", *accept, "-s", str(source), *ports)

    def _inside(self, region: str) -> list[str]:
        process = self._holders[region].pid
        return ["nsenter", f"--net=/proc/{process}/ns/net", f"--mount=/proc/{process}/ns/mnt"]

    def _run(self, region: str, *command: str) -> None:
        result = subprocess.run(
            [*self._inside(region), *command], capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{region}: {' '.join(command)}: {result.stderr}")
