# SPDX-License-Identifier: GPL-2.0-only
"""Two network namespaces with a link between them that loses what a test says, and the kernel's
own counters of each as a witness."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import netns
from harness import ALICE, wait_until

ONCE = "numgen inc mod 1000000 == 0"  # true of the first packet that comes so far in a rule
SYN = "tcp flags & (syn|ack) == syn"
SYN_ACK = "tcp flags & (syn|ack) == syn|ack"


@dataclass
class Side:
    """One end of the link."""

    namespace: str
    address: str
    ipv6: str
    device: str

    def run(self, *command, **options):
        return netns.run(self.namespace, *command, **options)

    def set(self, name, value):
        """A setting of /proc/sys/net/ipv4."""
        path = Path("/proc/sys/net/ipv4") / name
        netns.inside(self.namespace, lambda: path.write_text(str(value)))

    def inode(self):
        return os.stat(f"/run/netns/{self.namespace}").st_ino

    def rules(self, *rules, hook="input"):
        """Replaces those before; what none of them drops passes."""
        lines = "\n".join(rules)
        text = f"flush ruleset\ntable inet t {{\nchain c {{\ntype filter hook {hook} priority 0\n{lines}\n}}\n}}\n"
        self.run("nft", "-f", "-", input=text)

    def counters(self):
        return netns.counters(self.namespace)

    def sockets(self, *options):
        """Words of ss for each established socket."""
        lines = self.run("ss", "-HtniO", "state", "established", *options).splitlines()
        return [line.split() for line in lines]

    def wait_acknowledged(self):
        """Nothing that could be sent again is left; ss shows what is in the send queue."""
        wait_until(
            lambda: all(words[1] == "0" for words in self.sockets()), "all is acknowledged"
        )


class Trace:
    """ftrace as a witness. One of the kernels that these tests run on runs no BPF program while a
    thread of its init is current, whoever loaded it, and counts nothing: what happens in a
    softirq that interrupted such a thread nobody can tell, but ftrace has it."""

    def __init__(self, place, *events):
        self.mount = place.new_path("tracefs")
        self.mount.mkdir()
        subprocess.run(["mount", "-t", "tracefs", "tracefs", self.mount], check=True)
        self.instance = self.mount / "instances" / f"{place.path.name}-{self.mount.name}"
        self.instance.mkdir()
        self.switches = [self.instance / "events" / "tcp" / event / "enable" for event in events]
        for switch in self.switches:
            switch.write_text("1")

    def hidden(self, *ports):
        """How many of the events of a socket with one of these ports."""
        init = os.listdir("/proc/1/task")
        lines = (self.instance / "trace").read_text(errors="replace").splitlines()
        found = (re.match(r".*-(\d+) +\[\d+\].* sport=(\d+) ", line) for line in lines)
        return sum(match[1] in init and int(match[2]) in ports for match in found if match)

    def close(self):
        for switch in self.switches:
            switch.write_text("0")
        self.instance.rmdir()
        subprocess.run(["umount", self.mount], check=True)


class Link:
    """Traffic goes from sides[0], the client, to sides[1]."""

    def __init__(self, namespaces):
        self.sides = [
            Side(namespace, f"10.9.0.{index + 1}", f"fd00:9::{index + 1}", f"nw{index}")
            for index, namespace in enumerate(namespaces)
        ]
        self.client, self.server = self.sides
        ends = [f"name {side.device} netns {side.namespace}" for side in self.sides]
        netns.ip(None, f"link add {ends[0]} type veth peer {ends[1]}")
        for side in self.sides:
            netns.ip(
                side.namespace,
                f"address add {side.address}/24 dev {side.device}",
                f"address add {side.ipv6}/64 dev {side.device} nodad",
                f"link set {side.device} up",
            )
            side.set("tcp_congestion_control", "reno")  # which every kernel has

    def wait_up(self):
        """Before the kernel has seen that, no neighbour is found by IPv6 at the first try."""
        for side in self.sides:
            show = "ip", "link", "show", side.device
            wait_until(lambda: "state UP" in side.run(*show), f"{side.device} is up")

    def one_segment_each(self):
        """No buffer of several segments leaves TCP."""
        for side in self.sides:
            side.run("ip", "link", "set", side.device, "gso_max_segs", "1")

    def short_timeouts(self):
        """The timer begins with 50 instead of 200 ms."""
        for side in self.sides:
            route = f"{side.address[:-1]}0/24"
            side.run("ip", "route", "change", route, "dev", side.device, "rto_min", "50ms")

    def netns(self):
        """Options for the events of both sides."""
        return [word for side in self.sides for word in ("--netns", side.inode())]


class Pair:
    """An established connection over the link, its processes at both ends."""

    def __init__(self, link, actor, uid=ALICE, address=None):
        self.link = link
        self.address = address or link.server.address
        self.client = actor(uid=uid, namespace=link.client.namespace, comm=b"the-client")
        self.server = actor(uid=uid, namespace=link.server.namespace, comm=b"the-server")
        listener = self.server.listen(address=self.address)
        self.listener, self.port = listener["fd"], listener["port"]

    def connect(self):
        self.client.tell("connect", address=self.address, port=self.port)
        self.accepted = self.server.accept(fd=self.listener)
        self.told = self.client.answer()
        return self

    def transfer(self, *counts):
        """The client sends so much in each call, the server reads all of it."""
        self.server.tell("receive", fd=self.accepted["fd"], count=sum(counts))
        for count in counts:
            self.client.send(fd=self.told["fd"], count=count)
        self.server.answer()
        self.link.client.wait_acknowledged()


# Fixtures of the tests that import them.


@pytest.fixture
def collector(shared_collector):
    """One for all tests of a file."""
    return shared_collector


@pytest.fixture
def link(new_namespace):
    return Link([new_namespace(), new_namespace()])


@pytest.fixture
def pair(link, actor):
    return Pair(link, actor)


HEADERS = {"IPv4": 20 + 20 + 12, "IPv6": 40 + 20 + 12}  # of a segment, with timestamps


@pytest.fixture(params=HEADERS)
def family(request):
    return request.param


@pytest.fixture
def pair_of(link, actor, family):
    """The same by each family."""
    link.wait_up()
    return Pair(link, actor, address=link.server.ipv6 if family == "IPv6" else None)


@pytest.fixture
def trace(place):
    made = Trace(place, "tcp_retransmit_skb", "tcp_retransmit_synack", "tcp_cong_state_set")
    yield made
    made.close()


@pytest.fixture
def stopped(trace, request):
    """Ends a subscription: all its events, if none was hidden from everybody."""
    name = "pair_of" if "pair_of" in request.fixturenames else "pair"
    pair = request.getfixturevalue(name)

    def stop(watch):
        events = watch.stopped_events()
        hidden = trace.hidden(pair.port, pair.told["lport"])
        if hidden:
            pytest.skip(f"NOT TRIED to its end: this kernel hid {hidden} events from all programs")
        return events

    return stop
