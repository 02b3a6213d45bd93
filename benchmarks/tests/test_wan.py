"""The parts of the WAN benchmark that need no root: what carries the packets, and what judges the runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.wan.document import update
from benchmarks.wan.network import ROOT, Link, check_machine
from benchmarks.wan.report import Run, bars, cells, table
from testing import processes
from testing.waiting import WAIT_SECONDS
from testing.workloads import FULL_SIZE

_ROUTER = """
import sys
from benchmarks.wan.router import Link, Router
west, east, rtt, rate = sys.argv[1:]
links = {b"\\x0a\\0\\0\\1": Link("west", int(west)), b"\\x0a\\0\\0\\2": Link("east", int(east))}
Router(links, float(rtt), float(rate)).run()
"""


def packet(number: int, length: int = 1000) -> bytes:
    """Return an IPv4 packet for 10.0.0.2, as far as the router looks at it."""
    return (number.to_bytes(16, "big") + bytes([10, 0, 0, 2])).ljust(length, b"-")


class Carried:
    """A router between two sockets that stand for TUN devices."""

    def __init__(self, rtt: float, rate: float) -> None:
        self.west, west = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.east, east = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for inner in (west, east):
            inner.setblocking(False)
        self.process = processes.start(
            [sys.executable, "-c", _ROUTER, str(west.fileno()), str(east.fileno()), str(rtt), str(rate)],
            pass_fds=[west.fileno(), east.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        west.close()
        east.close()
        self.east.settimeout(WAIT_SECONDS)

    def sent(self) -> list[list[str | int]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"sent\n")
        self.process.stdin.flush()
        packets: list[list[str | int]] = json.loads(self.process.stdout.readline())
        return packets

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.wait(WAIT_SECONDS) == 0, "the router outlives its standard input"
        self.process.stdout.close()
        self.west.close()
        self.east.close()


@pytest.fixture
def slow_link() -> Iterator[Carried]:
    carried = Carried(rtt=0.2, rate=100_000)
    yield carried
    carried.close()


def test_a_packet_takes_at_least_half_a_round_trip_and_its_share_of_the_rate(slow_link: Carried) -> None:
    slow_link.sent()  # it runs
    began = time.monotonic()
    slow_link.west.send(packet(0))
    assert slow_link.east.recv(70_000) == packet(0)
    assert time.monotonic() - began >= 0.1 + 0.01


def test_packets_wait_for_each_other_and_none_is_lost(slow_link: Carried) -> None:
    slow_link.sent()
    began = time.monotonic()
    for number in range(40):
        slow_link.west.send(packet(number))
    assert [slow_link.east.recv(70_000) for _ in range(40)] == [packet(number) for number in range(40)]
    assert time.monotonic() - began >= 0.1 + 40 * 0.01


def test_bytes_are_counted_by_sender_and_receiver(slow_link: Carried) -> None:
    slow_link.west.send(packet(0, 123))
    slow_link.west.send(packet(1, 1000))
    slow_link.west.send(b"-" * 40)  # for nobody
    slow_link.east.recv(70_000)
    slow_link.east.recv(70_000)
    assert slow_link.sent() == [["west", "east", 1123]]


def run(peer: str, seconds: float | None, megabytes: float = 1.0, error: str | None = None) -> Run:
    wire = [("us-west-2", "eu-west-2", int(megabytes * 1e6))]
    return Run(peer, "i", 1, seconds, wire, error=error)


def judge(*runs: Run) -> dict[str, bool]:
    return {verdict.bar: verdict.met for verdict in bars(cells(runs), FULL_SIZE)}


def test_bars_are_met_by_few_bytes_and_little_time() -> None:
    judged = judge(run("ours", 1.0, 2.0), run("hand", 3.1), run("pulled", 1.2))
    assert judged == {"crossing": True, "best peer": True, "hand": True}


def test_bars_are_missed_by_many_bytes_and_much_time() -> None:
    judged = judge(run("ours", 1.3, 2.2), run("hand", 3.1), run("pulled", 1.2))
    assert judged == {"crossing": False, "best peer": False, "hand": False}


def test_a_run_of_ours_that_fails_misses_its_bar_also_where_others_succeed() -> None:
    assert judge(run("ours", 1.0), run("ours", None, error="ValueError: no")) == {"crossing": False}


def test_what_a_peer_cannot_run_is_in_the_table() -> None:
    by_peer = cells([run("ours", 1.0), run("stock", None, error="no result after 300 s")])
    row = table(by_peer, ["ours", "stock"], FULL_SIZE).splitlines()[-1]
    assert "fails: no result after 300 s" in row


def test_the_outcome_replaces_what_the_document_had_between_its_comments(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("before\n<!-- wan: begin -->\nold\n<!-- wan: end -->\nafter\n")
    update(document, cells([run("ours", 1.0)]), ["ours"], FULL_SIZE, Link(), "make bench-wan")
    text = document.read_text()
    assert text.startswith("before\n<!-- wan: begin -->\n`make bench-wan`")
    assert text.endswith("<!-- wan: end -->\nafter\n")
    assert "old" not in text


def test_without_root_it_says_so_and_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "need root; run: sudo make bench-wan" in str(check_machine())
