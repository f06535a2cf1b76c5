# SPDX-License-Identifier: GPL-2.0-only
"""The category error: one event for each segment that is wrong, made by hand, with the right
kind, the kernel's reason, and the connection; none for what is in order."""

import json
import socket
import subprocess
import time

import pytest

import segments
from harness import ALICE, BOB, scaled, wait_until
from segments import ACK, DATA, FIN, RST, SYN

GOOD = scaled(100_000)  # segments
CLOSED = scaled(1000)  # connections
LOOPBACKS = {"IPv4": "127.0.0.1", "IPv6": "::1"}


def reason(*names):
    """The first that the running kernel has: a reason was divided in later ones."""
    return next(n for n in names if segments.has_enumerator(f"SKB_DROP_REASON_{n}"))


# name: (kind, names of the reason, newest first; what is sent)
WRONG = {
    "checksum": ("CHECKSUM", ["TCP_CSUM"], dict(payload=b"bad", good=False)),
    "long checksum": ("CHECKSUM", ["TCP_CSUM"], dict(payload=b"bad" * 300, good=False)),
    "beyond the window": ("SEQUENCE", ["TCP_INVALID_SEQUENCE"], dict(seq=1 << 29, payload=b"x")),
    "old": (
        "SEQUENCE", ["TCP_OLD_SEQUENCE", "TCP_INVALID_SEQUENCE"], dict(seq=-500, payload=b"old"),
    ),
    "ack of unsent": ("SEQUENCE", ["TCP_ACK_UNSENT_DATA"], dict(ack=5000, payload=b"x")),
    "too old ack": ("SEQUENCE", ["TCP_TOO_OLD_ACK"], dict(ack=-(1 << 30), payload=b"x")),
    "no flags": ("DROP", ["TCP_FLAGS"], dict(flags=0, payload=b"x")),
    "SYN": ("DROP", ["TCP_INVALID_SYN"], dict(flags=SYN)),
    "wrong RST": ("DROP", ["TCP_RESET"], dict(seq=100, flags=RST)),
    "short header": ("DROP", ["PKT_TOO_SMALL"], dict(doff=16)),
}


@pytest.fixture
def collector(shared_collector):
    return shared_collector


@pytest.fixture
def watch(netwatch):
    """A live subscription to errors."""

    def run(*args, **options):
        client = netwatch(
            "subscribe", "--events", "error", "-v", "--stats", "-o", "json", *args, **options
        )
        return client.wait_subscribed()

    return run


class Pair:
    """Two actors, and a connection between them, with some data exchanged."""

    def __init__(self, client, server, address="127.0.0.1"):
        self.client, self.server, self.address = client, server, address
        listener = server.listen(address=address)
        self.listener, self.port = listener["fd"], listener["port"]

    def open(self):
        self.ours = self.client.connect(address=self.address, port=self.port)
        self.theirs = self.server.accept(fd=self.listener)
        self.client.send(fd=self.ours["fd"], count=1000)
        self.server.receive(fd=self.theirs["fd"], count=1000)
        self.server.send(fd=self.theirs["fd"], count=1000)
        self.client.receive(fd=self.ours["fd"], count=1000)
        return self

    def told(self, side):
        return self.ours if side == "client" else self.theirs

    def victim(self, side):
        ends = (self.client.pid, self.ours), (self.server.pid, self.theirs)
        (pid, told), (peer_pid, peer) = ends if side == "client" else ends[::-1]
        return segments.Victim(pid, told, peer_pid, peer)


@pytest.fixture
def pair(actor):
    """client and server are of ALICE and BOB, if not said otherwise."""

    def make(client=None, server=None, **options):
        return Pair(client or actor(), server or actor(uid=BOB), **options)

    return make


def check_connection(connection, told):
    for field in ["laddr", "lport", "raddr", "rport", "pid", "uid", "netns"]:
        assert connection.get(field) == told[field], (field, connection, told)
    assert int(connection["id"]) == told["id"]


def check_totals(client):
    totals = client.totals()
    assert totals["matched"] == totals["delivered"] + totals["lost_kernel"] + totals["lost_queue"]
    return totals


def counters():
    """Of this network namespace: {protocol:name: count} of the kernel's counters."""
    found = {}
    for path in "/proc/net/snmp", "/proc/net/netstat":
        lines = [line.split() for line in open(path)]
        for names, values in zip(lines[::2], lines[1::2]):
            found |= {names[0] + name: int(n) for name, n in zip(names[1:], values[1:])}
    return found


def is_one(event, kind, name, sent):
    error = event["error"]
    assert (error["kind"], error.get("reason")) == (kind, name), event
    for field in "seq", "ack", "length":
        if field in sent:
            assert error.get(field, 0) == sent[field], (field, event, sent)


def inject_all(victim, watching, expected):
    """One after the other, each with its event."""
    for name, (kind, names, options) in WRONG.items():
        sent = victim.send(**options)
        if not options.get("flags", ACK) & ACK:
            del sent["ack"]
        expected.append((kind, reason(*names), sent))
        events = watching.wait_events(len(expected))
        assert len(events) == len(expected), (name, events[len(expected) :])
        is_one(events[-1], *expected[-1])
    sent = victim.send(payload=b"x", options=victim.timestamp(ago=1_000_000))
    expected.append(("SEQUENCE", "TCP_RFC7323_PAWS", sent))
    watching.wait_events(len(expected))


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("family", LOOPBACKS)
def test_each_wrong_segment_once(watch, pair, family, side):
    """Kind, reason, numbers and connection of each; keepalives are none."""
    made = pair(address=LOOPBACKS[family])
    watching = watch("--port", made.port)
    made.open()
    victim, expected, told = made.victim(side), [], made.told(side)
    before = counters()
    inject_all(victim, watching, expected)
    after = counters()
    victim.send(seq=-1, flags=ACK)  # a keepalive
    victim.send(flags=RST)  # the exact one
    expected.append(("RESET_RECEIVED", None, {}))
    watching.wait_events(len(expected))
    events = watching.stopped_events()
    assert len(events) == len(expected), events[len(expected) :]
    for event, one in zip(events, expected):
        is_one(event, *one)
        check_connection(event["connection"], told)
        assert event["connection"]["role"] == side.upper()
        assert event["error"]["state"] == "ESTABLISHED", event
    assert check_totals(watching)["matched"] == len(expected)
    assert after["Tcp:InCsumErrors"] - before["Tcp:InCsumErrors"] >= 2
    assert after["TcpExt:PAWSEstab"] - before["TcpExt:PAWSEstab"] >= 1
    victim.close()


def test_established_before(watch, pair):
    """Connections that are older than the first subscription."""
    made = pair().open()
    watching = watch("--sport", made.port, uid=BOB)
    victim = made.victim("server")
    inject_all(victim, watching, [])
    for event in watching.stopped_events():
        connection = event["connection"]
        assert int(connection["id"]) == made.theirs["id"] and connection["pid"] == made.server.pid
    victim.close()
