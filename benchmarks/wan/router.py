"""A wide-area network in user space: ``router RTT_MS RATE_MBIT MTU REGION:ADDRESS:PID ...``.

One TUN device per Region, moved into the network namespace of process PID. A packet waits until its
Region's link has sent what came before (rate), then half a round trip. It is never dropped: a link
whose queue is long is not read, so that TCP is held back in the namespace that sends.

Says ``ready``; then answers each line on standard input with the bytes (IP packets, headers included)
that every pair of Regions has sent so far; and ends with its standard input.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field

__all__ = ["Link", "Router", "main"]

# The numbers are those of <linux/if_tun.h>.
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
#: Seconds of packets in a link's queue from which it is not read; a few schedules of this process.
_QUEUE = 0.05
#: Packets read from a link before another gets its turn.
_PACKETS_AT_ONCE = 64
_LARGEST_PACKET = 65_600
_CONTROL = 0


@dataclass
class Link:
    """A Region's link to all others.

    Attributes
    ----------
    region
        Its name.
    tun
        File descriptor of its TUN device.
    free
        When it will have sent all that it was given, by the monotonic clock.
    queue
        What is under way from it: (time of arrival, link it goes to, packet).
    """

    region: str
    tun: int
    free: float = 0.0
    queue: deque[tuple[float, Link, bytes]] = field(default_factory=deque)


class Router:
    """Carries packets between links.

    Parameters
    ----------
    links
        By IPv4 address (four bytes).
    rtt
        Round trip in seconds.
    rate
        Bytes per second that each link sends at most.
    """

    def __init__(self, links: dict[bytes, Link], rtt: float, rate: float) -> None:
        self._links = links
        self._delay, self._rate = rtt / 2, rate
        self._sent: Counter[tuple[str, str]] = Counter()
        self._by_descriptor = {link.tun: link for link in links.values()}
        self._paused: set[int] = set()
        self._poll = select.epoll()
        for descriptor in (*self._by_descriptor, _CONTROL):
            self._poll.register(descriptor, select.EPOLLIN)

    def run(self) -> None:
        """Carry packets until standard input ends."""
        while True:
            for descriptor, _ in self._poll.poll(self._until_next()):
                if descriptor == _CONTROL:
                    if not os.read(_CONTROL, 1024):
                        return
                    self._answer()
                else:
                    self._accept(self._by_descriptor[descriptor])
            self._deliver()

    def _until_next(self) -> float:
        now = time.monotonic()
        times = [link.queue[0][0] for link in self._by_descriptor.values() if link.queue]
        times += [self._by_descriptor[descriptor].free - _QUEUE / 2 for descriptor in self._paused]
        return max(0.0, min(times) - now) if times else 1.0

    def _accept(self, link: Link) -> None:
        now = time.monotonic()
        for _ in range(_PACKETS_AT_ONCE):
            try:
                packet = os.read(link.tun, _LARGEST_PACKET)
            except BlockingIOError:
                return
            target = self._links.get(packet[16:20])  # destination address; IPv4 only
            if target is None:
                continue
            link.free = max(link.free, now) + len(packet) / self._rate
            link.queue.append((link.free + self._delay, target, packet))
            self._sent[link.region, target.region] += len(packet)
            if link.free - now > _QUEUE:
                self._poll.modify(link.tun, 0)
                self._paused.add(link.tun)
                return

    def _deliver(self) -> None:
        now = time.monotonic()
        for link in self._by_descriptor.values():
            while link.queue and link.queue[0][0] <= now:
                _, target, packet = link.queue.popleft()
                os.write(target.tun, packet)
            if link.tun in self._paused and link.free - now <= _QUEUE / 2:
                self._paused.discard(link.tun)
                self._poll.modify(link.tun, select.EPOLLIN)

    def _answer(self) -> None:
        rows = [[*pair, nbytes] for pair, nbytes in sorted(self._sent.items())]
        sys.stdout.write(json.dumps(rows) + "\n")
        sys.stdout.flush()


def _open_link(region: str, address: str, pid: str, mtu: str) -> Link:
    """Make a TUN device and give it to the network namespace of a process."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"wan%d", _IFF_TUN | _IFF_NO_PI))
    device = request[:16].rstrip(b"\0").decode()
    subprocess.run(["ip", "link", "set", device, "netns", pid], check=True)
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip"]
    subprocess.run([*inside, "link", "set", "lo", "up"], check=True)
    subprocess.run([*inside, "address", "add", f"{address}/24", "dev", device], check=True)
    subprocess.run([*inside, "link", "set", device, "mtu", mtu, "txqueuelen", "2000", "up"], check=True)
    return Link(region, tun)


def main(rtt_ms: str, rate_mbit: str, mtu: str, *nodes: str) -> None:
    """Set the links up and carry packets until standard input ends."""
    links = {}
    for node in nodes:
        region, address, pid = node.split(":")
        links[socket.inet_aton(address)] = _open_link(region, address, pid, mtu)
    router = Router(links, float(rtt_ms) / 1e3, float(rate_mbit) * 1e6 / 8)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    router.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
