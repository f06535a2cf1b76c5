# SPDX-License-Identifier: GPL-2.0-only
"""Bounds of the history, and what becomes of it when it is full, when the ring was, and when who
reads it is slow."""

import json
import re
import subprocess
import time

import pytest

import netwatch_pb2 as pb
import wire
from harness import ALICE, BOB, DEADLINE_S, SANITIZED, scaled, wait_until
from history import ALL, EVENTS, past, remembered, without_losses  # noqa: F401, one is a fixture


@pytest.fixture
def start(start_collector):
    """Starts collectors whose history has begun, in a ring where others have room."""

    def run(*options):
        ring = [] if "--ring" in options else ["--ring", "16M"]
        collector = start_collector(*map(str, options), *ring)
        wait_until(collector.links, "the history begins")
        return collector

    return run


def held(collector):
    return wire.status(collector.socket).history


def test_bounded(start, actor, netwatch):
    """No more events than asked for, the last ones, and no more memory for it."""
    collector = start("--history", "500")
    server, client = actor(), actor()
    port = server.server()
    server.drop_served()

    def connect(count):
        return client.connects(count=count, address="127.0.0.1", port=port)

    connect(scaled(300))
    wait_until(lambda: held(collector).events == 500, "it is full")
    before = int(collector.status("VmRSS").split()[0])
    connect(scaled(3000))
    grown = int(collector.status("VmRSS").split()[0]) - before
    # Others may push them out soon.
    wait_until(lambda: connect(1) and len(remembered(
        collector.socket, last=3, rport=wire.ports(port))) == 3, "the last ones are there")
    status = held(collector)
    assert status.events == status.events_max == 500 and status.bytes <= 500 * 1024
    assert SANITIZED or grown < 2048, f"{grown} KiB more"
    assert status.oldest.ToNanoseconds() > time.time_ns() - 600 * 10**9
    shown = netwatch("status", socket=collector.socket)
    assert shown.wait() == 0
    assert re.search(rb"^history +500 of 500 events, \d+ KiB, since 20", b"".join(shown.out.lines),
                     re.M)
    shown = netwatch("status", "-o", "json", socket=collector.socket)
    assert shown.wait() == 0 and shown.events()[0]["history"]["events"] == 500


def test_restart_forgets(start, start_collector, actor, past):
    collector = start("--history", EVENTS)
    server = actor()
    port = server.server()
    actor().connects(count=5, address="127.0.0.1", port=port)
    wait_until(lambda: past("-a", "--dport", port, socket=collector.socket)[14:], "it is there")
    collector.stop()
    again = start_collector("--history", "1000", socket=collector.socket)
    assert past("-a", "--dport", port, socket=again.socket) == []


def test_losses_are_told(start, actor, past):
    """What the ring had no room for is nobody knows whose: everybody is told, at its place, and
    not how many."""
    collector = start("--history", EVENTS, "--ring", "16K")
    server, client = actor(), actor()
    port = server.server()
    server.drop_served()
    client.connects(count=2, address="127.0.0.1", port=port)
    collector.pause()
    client.connects(count=100, address="127.0.0.1", port=port)
    collector.resume()

    def complete():
        client.connects(count=1, address="127.0.0.1", port=port)
        lines = past("-a", "--dport", port, losses=True, socket=collector.socket, uid=ALICE)
        return b'"lost"' not in lines[-1] and any(b'"lost"' in line for line in lines) and lines

    events = [json.loads(line) for line in wait_until(complete, "the loss is told")]
    lost = [event["lost"] for event in events if "lost" in event]
    assert all(loss["cause"] == "KERNEL_RING" and "count" not in loss for loss in lost)
    places = [n for n, event in enumerate(events) if "lost" in event]
    assert places[-1] >= 6 and events[places[-1]]["lost"]["last"] <= events[-1]["time"]
    stranger = past("--dport", 1, losses=True, socket=collector.socket, uid=BOB)
    assert all(b'"lost"' in line for line in stranger) and len(stranger) >= len(lost)
    past("--fail-on-loss", "--dport", port, socket=collector.socket, code=6)


def test_slow_reader(start, actor):
    """It gets all of the history, in portions as it reads, and then what happened meanwhile."""
    collector = start("--history", EVENTS, "--queue", "1M")
    server, client = actor(), actor()
    port = server.server()
    server.drop_served()
    count = scaled(3000)

    def connects(number):
        client.connects(count=number, address="127.0.0.1", port=port)

    connects(count)
    criteria = {"rport": wire.ports(port)}
    wait_until(lambda: len(remembered(collector.socket, last=1, **criteria)), "it is remembered")
    with wire.Connection(collector.socket) as control, wire.Connection(collector.socket) as slow:
        control.subscribe(**criteria)
        slow.send(pb.Request(subscribe=pb.Subscribe(
            category=["conn"], closed=True, last=ALL, filter=pb.Filter(**criteria))))
        wait_until(lambda: len(wire.status(collector.socket).subscription) == 2, "it is live")
        connects(100)
        assert len(control.events(300)) == 300
        waiting = max(entry.queue_bytes
                      for entry in wire.status(collector.socket).subscription)
        assert waiting < 192 << 10, waiting
        before = without_losses(slow.until("subscribed")[0])
        after, totals = slow.unsubscribe()
    assert len(before) == 3 * count and len(after) == totals.delivered == 300
    ids = [(event.connection.id, event.conn.event) for event in before + after]
    assert len(set(ids)) == len(ids)


def test_overtaken(start, actor):
    """Whoever reads more slowly than the history forgets is told so."""
    collector = start("--history", "40000")
    server, clients = actor(), [actor() for _ in range(3)]
    port = server.server(workers=2)
    server.drop_served()
    criteria = {"rport": wire.ports(port)}

    def connect_all():
        for client in clients:
            client.tell("connects", count=500, address="127.0.0.1", port=port)
        return [client.answer() for client in clients]

    def connect(until):
        wait_until(lambda: connect_all() and until(), "the history is full of it")

    # 6000 are more than a socket and a portion hold.
    connect(lambda: len(remembered(collector.socket, last=ALL, **criteria)) > 6000)
    with wire.Connection(collector.socket) as slow:
        slow.send(pb.Request(subscribe=pb.Subscribe(
            category=["conn"], closed=True, last=ALL, no_follow=True,
            filter=pb.Filter(**criteria))))
        slow.expect("event")
        began = time.time_ns()
        connect(lambda: held(collector).oldest.ToNanoseconds() > began)
        events, _ = slow.until("bye")
    lost = [event.lost for event in events if event.HasField("lost")]
    overtaken = [loss for loss in lost if loss.cause == pb.Lost.SUBSCRIBER_QUEUE]
    assert len(overtaken) == 1 and overtaken[0].first.ToNanoseconds() > 0, lost
    assert overtaken[0].last.ToNanoseconds() >= began
    assert not any(loss.HasField("count") for loss in lost)


@pytest.mark.parametrize("value", ["", "-1", "x", "1.5", "1000001", "99999999999999999999"])
def test_bad_size(place, value):
    done = subprocess.run([place.collector, "--history", value], capture_output=True, text=True,
                          env=place.environment, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2 and f'bad --history "{value}"' in done.stderr, done


def test_without(start_collector):
    """0 is none: nothing is attached, and status has no history."""
    collector = start_collector("--history", "0")
    assert not collector.links() and not wire.status(collector.socket).HasField("history")
