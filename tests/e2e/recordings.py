# SPDX-License-Identifier: GPL-2.0-only
"""What tests of record and replay share. Its fixtures are imported by those tests."""

import json
import os
import subprocess

import pytest

import netwatch_pb2 as pb
import wire
from harness import ALICE, BOB, DEADLINE_S
from test_containers import cgroups  # noqa: F401, a fixture
from test_http import Talk, get, head, ok

CATEGORIES = "conn,packet,http,error,retransmit"
USERS = "--uid", f"{ALICE},{BOB}"
ALL = "-a", "--events", CATEGORIES, "--no-existing"


@pytest.fixture
def netwatch(netwatch, place):
    """With the time zone of the tests' own clients."""

    def run(*args, **options):
        return netwatch(*args, env={"TZ": "UTC"}, **options)

    return run


@pytest.fixture
def replay(place):
    """A replay to its end: what subprocess.run returns."""

    def run(*args, uid=0, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            [place.client, "--socket", "/nowhere", "replay", *map(str, args)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE_S, user=uid,
            group=uid, extra_groups=[], env={**place.environment, "TZ": "UTC"}, cwd="/",
            check=False, **options,
        )

    return run


@pytest.fixture
def record(netwatch, place):
    """A live recording, with its .path."""

    def run(*args, path=None, **options):
        path = path or place.new_path("recording")
        client = netwatch("record", path, "-v", *args, **options).wait_subscribed()
        client.path = path
        return client

    return run


@pytest.fixture
def scene(cgroups, actor):  # noqa: F811
    """Processes of two users, of which one is in a cgroup; act() is what they do. (They are
    started after it was made, and so end before.)"""
    return Scene(actor, cgroups)


class Scene:
    def __init__(self, actor, cgroups):  # noqa: F811
        self.actor = actor
        self.client = actor(uid=ALICE, comm=b"rec-client")
        cgroups["a"].add(self.client)
        server = actor(uid=BOB, comm=b"rec-server")
        self.ports = {address: server.server(address=address) for address in ("127.0.0.1", "::1")}
        server.drop_served()
        self.talk = Talk(actor, client=ALICE, server=BOB)
        self.names = {
            "port": self.ports["127.0.0.1"], "v6": self.ports["::1"],
            "refused": server.refused_port(), "client": self.client.pid,
            "netns": os.stat("/proc/self/ns/net").st_ino, "cgroup": cgroups["a"].path,
        }

    def fill(self, words):
        return [word.format(**self.names) for word in words]

    def act(self):
        for address, port in self.ports.items():
            self.client.connects(count=3, address=address, port=port, payload=100)
        self.client.failures(count=2, address="127.0.0.1", port=self.names["refused"])
        self.talk.open()
        self.talk.ask(get("/a?b=c"))
        self.talk.answer(ok("text"))
        self.talk.ask(head("PUT /b HTTP/1.1", Host="other", Content_Length=0))
        self.talk.answer(head("HTTP/1.1 404 Not Found", Content_Length=0))
        self.talk.close()


def output(client):
    return b"".join(client.out.lines)


def stop(client):
    assert client.stop() == 0, client


def account(client_or_done):
    """Of --stats, but for the time."""
    err = client_or_done.stderr if hasattr(client_or_done, "stderr") else b"".join(
        client_or_done.err.lines)
    told = json.loads([line for line in err.splitlines() if line.startswith(b"{")][-1])
    assert told.pop("duration_s") >= 0
    return told


def messages(data):
    stream, found = bytearray(data), []
    while (body := wire.take_frame(stream)) is not None:
        found.append(pb.Reply.FromString(body))
    assert not stream, "a part of a frame"
    return found


def whole_events(data):
    stream, found = bytearray(data), []
    while (body := wire.take_frame(stream)) is not None:
        found.append(pb.Reply.FromString(body))
    return [message.event for message in found if message.HasField("event")]


def write(place, data):
    path = place.new_path("recording")
    path.write_bytes(data)
    path.chmod(0o644)
    return path
