# SPDX-License-Identifier: GPL-2.0-only
"""Packets with layer times (-t) are told once each, whatever becomes of the segment that waits."""

import collections
import time

import pytest

from harness import ALICE, BOB, V4, V6, in_time, scaled, wait_until
from layers import UNREAD_S, connected, data, firsts, stages, told
from packets import packets, pair  # noqa: F401, fixtures

STREAM = scaled(100 << 20)  # bytes
SHORT = scaled(1000)  # connections
KEPT_TX = 32  # at least, of the segments on their way to the device
KEPT = 64  # received segments of a socket that wait
WARM = 2 << 20  # bytes after which the congestion window is wide


def identity(event):
    packet, ends = event["packet"], event["connection"]
    return (
        ends["id"], packet["direction"], packet["seq"], packet.get("ack"), packet["length"],
        packet["window"], tuple(packet["flags"]), packet.get("segments"),
        ends["lport"], ends["rport"],
    )


def check_same(timed, plain):
    """Each segment once, whether with times or without."""
    assert collections.Counter(map(identity, timed)) == collections.Counter(map(identity, plain))
    assert not any(name.endswith("_ns") for event in plain for name in event["packet"])


@pytest.mark.parametrize(
    "address", ["127.0.0.1", V4[1], pytest.param(V6[1], marks=pytest.mark.kernels)]
)
def test_stream(request, packets, connected, address):
    """GSO and GRO, with two subscribers of which one wants times. All times are of this run."""
    near, far = (None, None) if address == "127.0.0.1" else request.getfixturevalue("pair")
    both = connected(address, near, far)
    timed = packets("-t", "--port", both.port)
    plain = packets("--port", both.port)
    begin = time.monotonic_ns()
    both.open()
    both.server.tell("receive", fd=both.far, count=STREAM)
    both.client.send(fd=both.near, count=STREAM)
    both.server.answer()
    both.close()
    end = time.monotonic_ns()
    without, events = told(plain), told(timed)
    check_same(events, without)
    assert all(sum(stages(one).values()) < end - begin for one in events)
    received = data(events, "RX", both.port)
    assert sum(one["packet"]["length"] for one in received) >= STREAM
    read = [one for one in received if "app_ns" in stages(one)]
    assert len(read) >= min(KEPT, len(received) // 2)  # others found no room, if the reader is slow
    sent = data(events, "TX", both.port)
    # One whose way to the device was not seen waits for up to a second, and others find no room.
    assert len([one for one in sent if "mac_ns" in stages(one)]) >= min(KEPT_TX, len(sent) // 2)


def test_many_connections(packets, actor):
    """Buffers are used again and again: no time is older than the run, and none is missing."""
    server, clients = actor(), [actor() for _ in range(3)]
    port = server.server(answer=3000)
    timed = packets("-t", "--port", port)
    plain = packets("--port", port)
    begin = time.monotonic_ns()
    for client in clients:
        client.tell("connects", count=SHORT // 3, address="127.0.0.1", port=port, payload=10)
    for client in clients:
        client.answer()
    end = time.monotonic_ns()
    wait_until(lambda: len(timed.events()) == len(plain.events()) > 10 * SHORT, "both have all")
    without, events = told(plain), told(timed)
    check_same(events, without)
    assert all(sum(stages(one).values()) < end - begin for one in events)
    received = [one for one in events if one["packet"]["direction"] == "RX"]
    assert sum("ip_ns" in stages(one) for one in received) > 0.99 * len(received)


@pytest.mark.kernels
def test_close_with_unread_data(packets, connected):
    """It is told then, and nobody has read it."""
    both = connected()
    watch = packets("-t", "--lport", both.port)

    def received():
        return firsts(data(watch.events(), "RX", both.port))

    def tell_at_close():
        both.open()
        before = len(received())
        both.client.send(fd=both.near, count=100)
        both.wait_arrived(100)
        waits = len(received()) == before
        both.server.close(fd=both.far)
        wait_until(lambda: len(received()) > before, "it is told at close")
        both.client.receive_end(fd=both.near)
        both.client.close(fd=both.near)
        return waits

    assert in_time(tell_at_close, UNREAD_S)
    told(watch)
    assert all("app_ns" not in stages(event) and stages(event) for event in received())


def test_unread(packets, connected):
    """Told after a second, and not again when it is read."""
    both = connected()
    watch = packets("-t", "--lport", both.port)
    both.open()
    both.client.send(fd=both.near, count=100)
    sent = time.monotonic()
    wait_until(lambda: data(watch.events(), "RX", both.port), "it is told after a second")
    assert time.monotonic() - sent > 0.9
    both.server.receive(fd=both.far, count=100)
    both.client.send(fd=both.near, count=50)
    both.server.receive(fd=both.far, count=50)
    both.close()
    old, new = firsts(data(told(watch), "RX", both.port))
    assert "app_ns" not in stages(old) and "app_ns" in stages(new)


def test_sent_again(packets, connected):
    """A copy of what waits for its reader is told at once, the first one with the read."""
    both = connected()
    watch = packets("-t", "--lport", both.port)
    both.open()
    victim, size = both.victim(), 100

    def send_twice():
        before = len(data(watch.events(), "RX", both.port))
        both.client.send(fd=both.near, count=size)
        both.wait_arrived(size)
        victim.send(seq=-size, payload=b"x" * size)
        wait_until(lambda: len(data(watch.events(), "RX", both.port)) > before, "a copy is told")
        both.server.receive(fd=both.far, count=size)

    in_time(send_twice, UNREAD_S)
    victim.close()
    both.close()
    copy, first = data(told(watch), "RX", both.port)[-2:]
    assert copy["packet"]["seq"] == first["packet"]["seq"] and copy["time"] > first["time"]
    assert "app_ns" not in stages(copy) and "app_ns" in stages(first)
    assert firsts([copy, first]) == [first]


def test_more_than_is_kept(packets, connected):
    """Of a crowd that nobody reads some are told at once. Each is told once."""
    count, size = 200, 100
    both = connected()
    timed = packets("-t", "--lport", both.port)
    plain = packets("--lport", both.port)
    both.open()
    both.server.tell("receive", fd=both.far, count=WARM)
    both.client.send(fd=both.near, count=WARM)
    both.server.answer()

    def read_late():
        both.client.sends_each(fd=both.near, count=count, size=size)
        both.wait_arrived(count * size)
        both.server.receive(fd=both.far, count=count * size)

    in_time(read_late, UNREAD_S)
    both.close()
    without, events = told(plain), told(timed)
    check_same(events, without)
    segments = [one for one in data(events, "RX", both.port) if one["packet"]["length"] == size]
    assert len(segments) > KEPT
    assert {"app_ns" in stages(one) for one in segments} == {True, False}


def test_those_who_come_later(packets, connected):
    """Who gets a segment that waited is asked when it is told: the bit of a subscriber who left
    may be another's by then."""
    both, other = connected(), connected()
    first = packets("-t", "--lport", both.port)
    both.open()
    both.client.send(fd=both.near, count=100)
    both.wait_arrived(100)
    told(first)
    seconds = [packets("-t", "--lport", other.port, "--rport", port) for port in range(1, 9)]
    both.server.receive(fd=both.far, count=100)
    both.client.send(fd=both.near, count=50)
    both.server.receive(fd=both.far, count=50)
    both.close()
    assert not [event for second in seconds for event in told(second)]


def test_scope(packets, connected):
    """A user's own packets, also those that wait."""
    his, hers = connected(uid=ALICE), connected(uid=BOB)
    watch = packets("-t", uid=ALICE)
    for both in his, hers:
        both.open()
        both.client.send(fd=both.near, count=100)
        both.server.receive(fd=both.far, count=100)
        both.close()
    events = told(watch)
    assert len(data(events, "RX", his.port)) == len(data(events, "TX", his.port)) == 1
    assert {event["connection"]["uid"] for event in events} == {ALICE}


def test_attached_while_wanted(collector, packets):
    """Hooks of layer times cost only those who ask for them."""
    plain = packets()
    without = len(collector.links())
    timed = packets("-t")
    assert len(collector.links()) >= without + 8
    timed.stop()
    wait_until(lambda: len(collector.links()) == without, "they are detached")
    plain.stop()
