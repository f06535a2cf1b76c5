# SPDX-License-Identifier: GPL-2.0-only
"""The same traffic makes the same JSON on every kernel: it is held against a file that was
written on one of them (tests/data/conn.json), but for ids and times, each of which is replaced
by a word with a number that counts in order of appearance.

Two members are only there, whatever they say: segs_in and segs_out, since it depends on the
machine's speed whether an acknowledgement travels alone."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from harness import ALICE, free_port, wait_until

pytestmark = pytest.mark.kernels

GOLDEN = Path(__file__).resolve().parents[1] / "data/conn.json"
REWRITE = "NETWATCH_REWRITE" in os.environ
IDS = {"id": "id", "lport": "port", "rport": "port", "pid": "pid", "uid": "uid", "netns": "netns",
       "cgroup_id": "cgroup", "cgroup": "path"}
NUMBERS = ["time", "handshake_us", "duration_us", "segs_in", "segs_out"]


def placeholders(value, seen, key=""):
    if isinstance(value, dict):
        return {name: placeholders(inner, seen, name) for name, inner in value.items()}
    if key in NUMBERS:
        return key.upper()
    if key in IDS:
        kind = seen.setdefault(IDS[key], [])
        if value not in kind:
            kind.append(value)
        return f"{IDS[key]}{1 + kind.index(value)}"
    return value


def in_order(events, port):
    """A connection's events together: which of two sockets is told first is chance."""
    def rank(event):
        connection = event["connection"]
        if connection.get("rport") == port:
            return 1
        return 2 if "rport" in connection else 0

    return sorted(events, key=rank)


class Traffic:
    """A client and a listener, and one connection between them."""

    def __init__(self, client, server, listen="127.0.0.1", dual=False):
        self.client, self.server = client, server
        self.listener = server.listen(address=listen, dual=dual)
        self.port = self.listener["port"]

    def connect(self, address="127.0.0.1", **options):
        self.ours = self.client.connect(address=address, port=self.port, **options)["fd"]
        self.theirs = self.server.accept(fd=self.listener["fd"])["fd"]
        return self

    def exchange(self):
        self.client.send(fd=self.ours, count=1000)
        self.server.receive(fd=self.theirs, count=1000)
        self.server.send(fd=self.theirs, count=2000)
        self.client.receive(fd=self.ours, count=2000)
        self.settle()
        return self

    def settle(self):
        """All is acknowledged and, without a FIN, read."""
        wait_until(lambda: self.unacknowledged() == [], "everything is acknowledged")

    def unacknowledged(self):
        lines = subprocess.run(
            ["ss", "-Htn", f"( sport = :{self.port} or dport = :{self.port} )"],
            check=True, capture_output=True, text=True,
        ).stdout.splitlines()
        return [line for line in lines if line.split()[2] != "0"]

    def close(self, first, second, fd, other):
        first.close(fd=fd)
        second.receive_end(fd=other)
        self.settle()
        second.close(fd=other)

    def close_client(self):
        self.close(self.client, self.server, self.ours, self.theirs)

    def close_server(self):
        self.close(self.server, self.client, self.theirs, self.ours)


def ipv4(*actors):
    yield (traffic := Traffic(*actors)).port
    traffic.connect().exchange().close_client()


def ipv6(*actors):
    yield (traffic := Traffic(*actors, "::1")).port
    traffic.connect("::1").exchange().close_server()


def v4_mapped(*actors):
    yield (traffic := Traffic(*actors, "::", dual=True)).port
    traffic.connect(mapped=True).exchange().close_client()


def bound_client(*actors):
    yield (traffic := Traffic(*actors)).port
    traffic.connect(source="127.0.0.1").close_client()


def half_closed(client, server):
    yield (traffic := Traffic(client, server)).port
    traffic.connect()
    client.shutdown(fd=traffic.ours)
    server.receive_end(fd=traffic.theirs)
    server.send(fd=traffic.theirs, count=3000)
    client.receive(fd=traffic.ours, count=3000)
    traffic.settle()
    traffic.close_server()


def reset_unread(client, server):
    yield (traffic := Traffic(client, server)).port
    traffic.connect().exchange()
    server.send(fd=traffic.theirs, count=100)
    traffic.settle()
    client.close(fd=traffic.ours)
    assert server.receive_end(fd=traffic.theirs) < 0
    server.close(fd=traffic.theirs)


def linger(client, server):
    yield (traffic := Traffic(client, server)).port
    traffic.connect().exchange()
    server.reset(fd=traffic.theirs)
    assert client.receive_end(fd=traffic.ours) < 0
    client.close(fd=traffic.ours)


def refused(client, server):
    yield (port := server.refused_port())
    client.connect(address="127.0.0.1", port=port)


def refused_ipv6(client, server):
    yield (port := server.refused_port(address="::1"))
    client.connect(address="::1", port=port)


def listening(client, server):
    """A listener that ends without a connection, held by its port."""
    yield (port := free_port())
    server.close(fd=server.listen(port=port)["fd"])


SCRIPTS = {
    ipv4: 5, ipv6: 5, v4_mapped: 5, bound_client: 5, half_closed: 5, reset_unread: 5, linger: 5,
    refused: 2, refused_ipv6: 2, listening: 2,
}


def play(actors, subscribe, script, count):
    """What the stream said of a script, with placeholders."""
    steps = script(*actors)
    port = next(steps)
    watch = subscribe("-a", "--port", port, "--no-existing", uid=ALICE)
    assert next(steps, None) is None
    watch.wait_events(count)
    seen = {}
    return [placeholders(event, seen) for event in in_order(watch.stopped_events(), port)]


def write(made):
    """One event a line."""
    scripts = [
        f'"{name}": [\n' + ",\n".join(json.dumps(event) for event in events) + "\n]"
        for name, events in made.items()
    ]
    GOLDEN.write_text("{\n" + ",\n".join(scripts) + "\n}\n")


def test_same_traffic_same_json(actor, subscribe):
    actors = actor(uid=ALICE, comm=b"client"), actor(uid=ALICE, comm=b"server")
    made = {script.__name__: play(actors, subscribe, script, count)
            for script, count in SCRIPTS.items()}
    if REWRITE:
        write(made)
    golden = json.loads(GOLDEN.read_text())
    assert set(golden) == set(made)
    for name, events in made.items():
        assert [*map(json.dumps, events)] == [*map(json.dumps, golden[name])], name
