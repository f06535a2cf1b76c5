# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of the contract share: two collectors, one as it is by default and one with
every option set, and three sockets of two users that a filter can tell apart."""

import functools
import json
import os
import socket
import subprocess
import threading
import time

import wire
from harness import ALICE, BOB, DEADLINE_S, ROOMY, Actor, Client, Collector, wait_until
from history import EVENTS

SEES_ALL, SEES_HTTP = "games", "tape"  # groups of every Debian that nobody is in
OTHER_USER = "nobody"


def tries(table, *keys):
    """Registers the function that tries these rows of the contract."""

    def register(function):
        table.update({key: function for key in keys})
        return function

    return register


class World:
    """name of a socket -> its id in ids: client (of ALICE), server and listener (of BOB)."""

    def __init__(self, place, stack):
        self.place = place
        self.stack = stack
        self.plain = self.start_collector()
        self.special = self.start_collector(
            "--socket-mode", "0660", "--group", SEES_ALL, "--http-group", SEES_HTTP,
            "--user", OTHER_USER, "--ring", "64K", "--queue", "128K", "--kernel-addresses",
            "--log-level", "info",
        )
        self.special.allow("serving|$^")
        self.deadlines = Deadlines(self.plain.socket)
        self.server, self.client = self.start_actor(BOB), self.start_actor(ALICE, b"contract")
        listener = self.server.listen()
        self.listener, self.port = listener["fd"], listener["port"]
        # Somebody watches all the time: so the roles of what is opened now are known.
        watch = stack.enter_context(wire.Connection(self.plain.socket))
        watch.subscribe(port=wire.ports(self.port))
        told = self.client.connect(address="127.0.0.1", port=self.port, source="127.0.0.2")
        accepted = self.server.accept(fd=self.listener)
        self.client.send(fd=told["fd"], count=1)
        self.server.receive(fd=accepted["fd"], count=1)  # told with its process from now on
        self.ids = {told["id"]: "client", accepted["id"]: "server"}

    @functools.cached_property
    def remembering(self):
        """A collector whose history has two connections to remembered_port, and their ends."""
        collector = self.start_collector("--history", str(EVENTS), *ROOMY)
        wait_until(collector.links, "the history begins")
        listener = self.server.listen()
        self.remembered_port = listener["port"]
        for _ in range(2):
            fd = self.client.connect(address="127.0.0.1", port=self.remembered_port)["fd"]
            accepted = self.server.accept(fd=listener["fd"])["fd"]
            self.client.close(fd=fd)
            self.server.receive_end(fd=accepted)
            self.server.close(fd=accepted)
        return collector

    def start_collector(self, *options, **more):
        collector = Collector(self.place, *options, **more)
        self.stack.callback(lambda: collector.process.returncode is None and collector.stop())
        return collector

    def start_actor(self, uid, comm=None):
        actor = Actor(self.place, uid=uid, comm=comm)
        self.stack.callback(actor.end)
        return actor

    def start(self, *options, uid=0, socket=None, **more):
        client = Client(self.place, socket or self.plain.socket, *options, uid=uid, **more)
        self.stack.callback(client.kill)
        return client

    def run(self, *options, uid=0, socket=None, environment=None, **more):
        """netwatch to its end, at the plain collector: returncode, stdout, stderr."""
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("text", True)
        return subprocess.run(
            [self.place.client, "--socket", socket or self.plain.socket, *map(str, options)],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=DEADLINE_S, cwd="/",
            user=uid, group=uid, extra_groups=[],
            env=self.place.environment | (environment or {}), **more,
        )

    def run_collector(self, *options):
        return subprocess.run(
            [self.place.collector, *options], env=self.place.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S,
        )

    def list(self, *options, **more):
        """list of the sockets of the world, which must succeed."""
        done = self.run("list", "--port", self.port, *options, **more)
        assert done.returncode == 0, done
        return done.stdout

    def listed(self, *options, **more):
        """Names of those that these filters keep."""
        events = map(json.loads, self.list("-o", "json", *options, **more).splitlines())
        return {self.name(event) for event in events}

    def name(self, event):
        return self.ids.get(int(event["connection"]["id"]), event["conn"]["state"].lower())

    def fail(self, port, count):
        """Connections to a port that refuses; two events each."""
        self.client.failures(count=count, address="127.0.0.1", port=port)

    def rings(self, collector):
        """Sizes of its ring buffers."""
        found = {}  # by the map's id: each object holds it by a descriptor of its own
        for name in os.listdir(f"/proc/{collector.pid}/fdinfo"):
            with open(f"/proc/{collector.pid}/fdinfo/{name}") as file:
                lines = dict(line.split(":", 1) for line in file if ":" in line)
            if lines.get("map_type", "").strip() == "27":  # BPF_MAP_TYPE_RINGBUF
                found[lines["map_id"]] = int(lines["max_entries"])
        return list(found.values())


class Deadlines:
    """Connections that do not say what they should, begun early since it takes seconds."""

    def __init__(self, path):
        silent, half = wire.Connection(path, greet=False), wire.Connection(path)
        half.socket.sendall(wire.varint(100))
        self.begin = time.monotonic()
        self.threads, self.ended = [], {}
        for name, connection in ("hello", silent), ("frame", half):
            thread = threading.Thread(target=self.watch, args=(name, connection), daemon=True)
            thread.start()
            self.threads.append(thread)

    def watch(self, name, connection):
        try:
            while connection.socket.recv(4096):
                pass
        except OSError:
            pass
        self.ended[name] = time.monotonic() - self.begin
        connection.close()

    def seconds(self):
        """name -> seconds after which the collector closed it."""
        for thread in self.threads:
            thread.join(DEADLINE_S)
        return self.ended


class FakeCollector:
    """Answers the first connection with these bytes and closes it."""

    def __init__(self, place, *replies):
        self.socket = str(place.new_path("fake"))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        os.chmod(self.socket, 0o666)
        self.listener.listen()
        self.replies = b"".join(map(wire.frame, replies))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        connection, _ = self.listener.accept()
        with connection, self.listener:
            connection.recv(4096)
            connection.sendall(self.replies)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
