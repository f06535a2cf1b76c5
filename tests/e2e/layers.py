# SPDX-License-Identifier: GPL-2.0-only
"""What tests of layer times share. Its fixture is imported by those tests."""

import time

import pytest

import wire
from harness import wait_until
from segments import Victim

STAGES = {
    "RX": ["mac_ns", "ip_ns", "tcp_ns", "app_ns"],
    "TX": ["tcp_ns", "ip_ns", "qdisc_ns", "mac_ns"],
}
MS = 1_000_000
UNREAD_S = 0.9  # what is read within that time is told with it


class Connected:
    """Two actors and a connection between them; which ends first is told by name."""

    def __init__(self, client, server, address="127.0.0.1"):
        self.client, self.server = client, server
        self.listener = server.listen(address=address)
        self.port = self.listener["port"]
        self.address = address

    def open(self):
        self.told = self.client.connect(address=self.address, port=self.port)
        self.accepted = self.server.accept(fd=self.listener["fd"])
        self.near, self.far = self.told["fd"], self.accepted["fd"]
        return self

    def victim(self):
        """Sends segments to the server by hand."""
        return Victim(self.server.pid, self.accepted, self.client.pid, self.told)

    def close(self):
        self.client.close(fd=self.near)
        self.server.receive_end(fd=self.far)
        self.server.close(fd=self.far)

    def wait_arrived(self, count):
        wait_until(lambda: self.server.waiting(fd=self.far) == count, f"{count} bytes wait")


@pytest.fixture
def connected(actor):
    def make(address="127.0.0.1", near=None, far=None, **options):
        return Connected(actor(namespace=near, **options), actor(namespace=far, **options), address)

    return make


def stages(event):
    """What is known, in the order of the way."""
    packet = event["packet"]
    return {name: packet[name] for name in STAGES[packet["direction"]] if name in packet}


def data(events, direction, port):
    """Segments with data that the client sends, as its side (TX) or the server's (RX) has it."""
    side = "rport" if direction == "TX" else "lport"
    return [
        event
        for event in events
        if event["packet"]["direction"] == direction
        and event["packet"]["length"]
        and event["connection"][side] == port
    ]


def firsts(events):
    """Of each segment the one that came first. What TCP sends again on a busy machine is told at
    once, and so before the one that waits for its reader."""
    found = {}
    for event in sorted(events, key=lambda event: event["time"]):
        found.setdefault((event["connection"]["id"], event["packet"]["seq"]), event)
    return list(found.values())


def told(client):
    """Ends it: its events, none of which was lost."""
    events = client.stopped_events()
    totals = client.totals()
    assert totals["matched"] == totals["delivered"] == len(events), totals
    for event in events:
        known = [name for name in event["packet"] if name.endswith("_ns")]
        assert set(known) <= set(STAGES[event["packet"]["direction"]]), event
    return events


def usable(collector):
    """Hooks of layer times that this kernel has, as check tells."""
    return {
        hook.name
        for category in wire.check(collector.socket).category
        if category.name == "packet"
        for hook in category.hook
        if hook.usable
    }


def expected_stages(hooks, direction, family, local):
    """Of a segment with data, sent once, and read. local: in the collector's namespace."""
    def known(function, netfilter):
        return f"fentry/{function}" in hooks or local and f"netfilter/ip{family}/{netfilter}" in hooks

    if direction == "RX":
        ip = known("ip_rcv_core" if family == 4 else "ip6_rcv_core", "pre_routing")
        queue = {"tp_btf/sk_data_ready", "fentry/sock_def_readable"}
        return (["mac_ns"] if ip else []) + ["ip_ns"] + (
            ["tcp_ns"] if queue & hooks else []
        ) + ["app_ns"]
    ip = known("ip_queue_xmit" if family == 4 else "inet6_csk_xmit", "local_out")
    send = {"tp_btf/tcp_sendmsg_locked", "fentry/tcp_sendmsg_locked"} & hooks
    begin = {(True, True): ["tcp_ns", "ip_ns"], (False, False): []}
    return begin.get((ip, bool(send)), ["ip_ns"]) + ["qdisc_ns", "mac_ns"]


def since(event, other):
    """ns from one event's time to the other's."""

    def ns(text):
        whole, _, fraction = text.rstrip("Z").partition(".")
        seconds = time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
        return int(seconds) * 1000 * MS + int(fraction.ljust(9, "0"))

    return ns(event["time"]) - ns(other["time"])
