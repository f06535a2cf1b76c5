# SPDX-License-Identifier: GPL-2.0-only
"""Category packet against a witness: what AF_PACKET sockets of the test's own network
namespaces saw. Both must have the same segments, each as often."""

import collections
import socket
from pathlib import Path

import pytest

from frames import Witness, segment_of
from harness import ALICE, V4, V6, link, scaled, wait_until

SHORT = scaled(1000)  # connections
STREAM = scaled(100 << 20)  # bytes
TIME_WAIT, LISTEN = "06", "0A"  # in /proc/net/tcp
PACKET = "subscribe", "--events", "packet", "-v", "-o", "json", "--stats"


@pytest.fixture
def pair(new_namespace):
    here, there = new_namespace(), new_namespace()
    link(here, there)
    return here, there


@pytest.fixture
def witness(place):
    """Starts witnesses; each is asked for its segments."""
    started = []

    def start(namespace, *devices):
        started.append(Witness(place, namespace, *devices))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


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


def told_packets(client, *expected):
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


def check_same(events, seen):
    """The same segments, each as often. A buffer that is cut when it leaves (more than the
    device takes) must have the bytes of its pieces."""
    told, seen = collections.Counter(map(segment_of, events)), collections.Counter(seen)
    told, seen = told - seen, seen - told
    whole = [one for one in told | seen if one[-1] == 0]
    assert not whole, f"{sum(told.values())} only told, {sum(seen.values())} only seen: {whole[:9]}"
    assert covered(told) == covered(seen)


def check_segments(events):
    """A buffer of several says so."""
    for event in events:
        packet = event["packet"]
        several = packet.get("segments", 1)
        assert packet["length"] >= several or packet["length"] == 0, event


def stream(client, server, address, count):
    """So many bytes to the server, and a few back."""
    listener = server.listen(address=address)
    told = client.connect(address=address, port=listener["port"])
    accepted = server.accept(fd=listener["fd"])
    server.tell("receive", fd=accepted["fd"], count=count)
    client.send(fd=told["fd"], count=count)
    server.answer()
    client.shutdown(fd=told["fd"])
    server.receive_end(fd=accepted["fd"])
    server.close(fd=accepted["fd"])
    server.close(fd=listener["fd"])
    client.receive_end(fd=told["fd"])
    client.close(fd=told["fd"])


def test_all_segments(start_collector, pair, witness, packets, actor):
    """Short connections and a stream, IPv4 and IPv6, by veth and by loopback. Whoever closes
    first stays until the other side has closed, so nothing is left to TIME_WAIT."""
    collector = start_collector("--queue", "64M", "--ring", "16M")
    here, there = pair
    server, far, near = actor(namespace=there), actor(namespace=here), actor(namespace=there)
    at_here, at_there = witness(here, "pair"), witness(there, "pair", "lo")
    watch = packets("--netns", here, "--netns", there, uid=0, socket=collector.socket)
    for address, loopback in zip((V4[1], V6[1]), ("127.0.0.1", "::1")):
        port = server.server(address=address, answer=3000)
        near_port = server.server(address=loopback, answer=3000)
        far.tell("connects", count=SHORT // 4, address=address, port=port, payload=10)
        near.tell("connects", count=SHORT // 4, address=loopback, port=near_port, payload=10)
        far.answer(), near.answer()
        stream(far, server, address, STREAM // 4)
        stream(near, server, loopback, STREAM // 4)
    wait_quiet(far, server)
    events = told_packets(watch)
    check_same(events, at_here.segments() + at_there.segments())
    check_segments(events)
    assert len(events) > 16 * SHORT
    assert any(event["packet"].get("segments", 1) > 10 for event in events)
