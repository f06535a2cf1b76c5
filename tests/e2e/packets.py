# SPDX-License-Identifier: GPL-2.0-only
"""What tests of category packet share: the comparison of events with a witness, and the end of
connections. Its fixtures are imported by those tests."""

import collections
import fcntl
import os
import select
import struct
import subprocess
import threading
from pathlib import Path

import pytest

import netns
from frames import Witness, segment_of
from harness import V4, V6, link, wait_until

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_MAX = 65536
TIME_WAIT, LISTEN = "06", "0A"  # in /proc/net/tcp
PACKET = "subscribe", "--events", "packet", "-v", "-o", "json", "--stats"


@pytest.fixture
def pair(new_namespace):
    """Two network namespaces with a veth pair between them."""
    here, there = new_namespace(), new_namespace()
    link(here, there)
    return here, there


def tun(namespace, v4, v6):
    """A device of a namespace; what it sends is read from here, what is written it receives."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    made = fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"", IFF_TUN | IFF_NO_PI))
    name = made[:16].rstrip(b"\0").decode()
    for words in (
        ["link", "set", name, "netns", namespace, "name", "pair"],
        ["-n", namespace, "address", "add", f"{v4}/24", "dev", "pair"],
        ["-n", namespace, "address", "add", f"{v6}/64", "dev", "pair", "nodad"],
        ["-n", namespace, "link", "set", "pair", "up"],
    ):
        subprocess.run(["ip", *words], check=True)
    return fd


def relay(ends, stop):
    """What one device sends the other one receives, until something can be read from stop."""
    while True:
        ready = select.select([*ends, stop], [], [])[0]
        if stop in ready:
            return
        for one, other in (ends, ends[::-1]):
            if one in ready:
                os.write(other, os.read(one, PACKET_MAX))


@pytest.fixture
def tun_pair(new_namespace):
    """As pair, but by tun devices, which have no Ethernet header."""
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("NOT TRIED: this kernel has no tun devices")
    namespaces = new_namespace(), new_namespace()
    ends = [tun(*one) for one in zip(namespaces, V4, V6)]
    stop, end = os.pipe()
    thread = threading.Thread(target=relay, args=(ends, stop))
    thread.start()
    yield namespaces
    os.close(end)
    thread.join()
    for fd in stop, *ends:
        os.close(fd)


@pytest.fixture
def witness(place):
    """Starts witnesses; each is asked for its segments."""
    started = []

    def start(namespace, *devices):
        started.append(Witness(place, namespace, *devices))
        return started[-1]

    yield start
    for one in started:
        one.process.end()


@pytest.fixture
def packets(netwatch):
    """A live subscription to packets."""

    def run(*args, **options):
        return netwatch(*PACKET, *args, **options).wait_subscribed()

    return run


def live_sockets(actor):
    """Of its namespace, those of which segments may still come."""
    lines = []
    for name in "tcp", "tcp6":
        lines += Path(f"/proc/{actor.pid}/net/{name}").read_text().splitlines()[1:]
    return [line for line in lines if line.split()[3] not in (TIME_WAIT, LISTEN)]


def wait_quiet(*actors):
    wait_until(lambda: not any(map(live_sockets, actors)), "all connections are over")


def told_packets(client):
    """Ends it: the events, none of which was lost."""
    events = client.stopped_events()
    totals = client.totals()
    assert totals["matched"] == totals["delivered"] == len(events), totals
    return events


def covered(segments):
    """What bytes they carry, and how often: +1 where a segment begins, -1 where it ends."""
    edges = collections.Counter()
    for segment in segments.elements():
        *ends, flags, seq, ack, window, length = segment
        edges[*ends, ack, window, seq] += 1
        edges[*ends, ack, window, (seq + length) % 2**32] -= 1
        edges[*ends, "ends", (seq + length) % 2**32] += "FIN" in flags
    return {edge: count for edge, count in edges.items() if count}


def sent_again(*namespaces):
    """How many segments TCP has sent again there; without a namespace, here."""
    texts = [netns.read(one, "/proc/thread-self/net/snmp") for one in namespaces or [None]]
    rows = [[line.split() for line in text.splitlines() if line[:4] == "Tcp:"] for text in texts]
    return sum(int(dict(zip(*row))["RetransSegs"]) for row in rows)


def check_same(events, seen, again=0):
    """The same segments, each as often. A buffer that is cut when it leaves (more than the
    device takes) must have the bytes of its pieces. On a slow machine a FIN may be sent again, and
    meet a TIME_WAIT: it, the ACK for it and the RST for that are seen, and not told."""
    told, seen = collections.Counter(map(segment_of, events)), collections.Counter(seen)
    told, seen = told - seen, seen - told
    whole = [one for one in told | seen if one[-1] == 0]
    strays = sum(count for one, count in seen.items() if one[-1] == 0)
    only_seen = not any(one[-1] == 0 for one in told)
    counts = f"{sum(told.values())} only told, {sum(seen.values())} only seen, {again} sent again"
    assert not whole or only_seen and strays <= 3 * again, f"{counts}: {whole[:9]}"
    assert covered(told) == covered(seen)
