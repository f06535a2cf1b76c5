# SPDX-License-Identifier: GPL-2.0-only
"""Limits of time, descriptors and connections: the collector serves others meanwhile."""

import os
import resource
import socket
import struct
import time

import netwatch_pb2 as pb
import wire
from harness import ALICE, wait_until

DEADLINE_S = 5
LATE_S = 20  # on a busy machine; a byte now and then would go on for longer


def drip(connection, data):
    """A byte now and then, until the collector closes; what it said."""
    connection.socket.settimeout(0.3)
    for index in range(100):
        try:
            connection.socket.sendall(data[index : index + 1])
            return connection.reply()
        except TimeoutError:
            pass
    raise AssertionError("it may go on for ever")


def test_deadlines(serving):
    """5 s for hello and for each frame, absolute: a byte now and then does not help."""
    begin = time.monotonic()
    silent = wire.Connection(serving.socket, greet=False)
    half = wire.Connection(serving.socket)
    half.socket.sendall(wire.varint(100))
    watch = wire.Connection(serving.socket)
    watch.subscribe(rport=wire.ports(1))
    watch.socket.sendall(wire.varint(100) + b"x")
    slow = wire.Connection(serving.socket, greet=False)
    replies = [drip(slow, wire.varint(200) + b"x" * 200)]
    replies += [connection.reply() for connection in (silent, half, watch)]
    for connection in slow, silent, half, watch:
        connection.expect_closed()
        connection.close()
    assert DEADLINE_S <= time.monotonic() - begin < DEADLINE_S + LATE_S
    assert {reply.error.code for reply in replies} == {pb.Error.FRAME}
    words = [reply.error.message.split(" within ")[0] for reply in replies]
    assert words == ["no hello", "no hello", "no complete message", "no complete message"]


def test_subscriber_has_no_deadline(collector, actor):
    """The deadlines are for hello and frames, not for who waits for events."""
    port = actor().refused_port()
    with wire.Connection(collector.socket) as idle, wire.Connection(collector.socket) as watch:
        watch.subscribe(rport=wire.ports(port))
        time.sleep(6)
        actor().failures(count=1, address="127.0.0.1", port=port)
        assert len(watch.events(2)) == 2
        idle.close()


def test_descriptors_of_others_are_not_kept(serving):
    """SCM_RIGHTS: what a client sends along is not held."""
    before = len(os.listdir(f"/proc/{serving.pid}/fd"))
    with wire.Connection(serving.socket) as connection:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("3i", 0, 1, 2))]
        connection.socket.sendmsg([wire.frame(pb.Request(status=pb.StatusRequest()))], rights)
        connection.expect("status")
        connection.expect("bye")
    wait_until(
        lambda: len(os.listdir(f"/proc/{serving.pid}/fd")) == before, "descriptors are closed"
    )


def connect_quietly(path):
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    try:
        client.connect(path)
    except BlockingIOError:
        pass
    return client


def test_no_descriptors_left(start_collector):
    """EMFILE: clients wait in the backlog, the collector does not spin, and recovers."""
    limit = start_collector().descriptors() + 20
    collector = start_collector(
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    )
    collector.allow("(?i)too many open files|descriptor")
    crowd = [connect_quietly(collector.socket) for _ in range(60)]
    wait_until(lambda: collector.descriptors() >= limit, "it has no descriptor left")
    before = collector.cpu()
    time.sleep(2)
    after = collector.cpu()
    assert after[0] - before[0] < 0.2e9, "spins"
    assert after[1] - before[1] < 500, "spins"
    for client in crowd:
        client.close()
    for _ in range(3):
        wire.status(collector.socket)


def test_connections_of_one_user_have_a_limit(serving, netwatch, subscribe):
    """32 of one user; the next is told BUSY, and other users are served."""
    watches = [
        subscribe("--dport", 1, uid=ALICE) for _ in range(32)
    ]
    refused = netwatch("status", uid=ALICE, socket=serving.socket)
    assert refused.wait() == 1, refused
    assert refused.err.text().strip()
    root = netwatch("status", socket=serving.socket)
    assert root.wait() == 0
    for watch in watches[:2]:
        assert watch.stop() == 0
    served = netwatch("status", uid=ALICE, socket=serving.socket)
    assert served.wait() == 0, served
