# SPDX-License-Identifier: GPL-2.0-only
"""matched = delivered + filtered + lost_kernel + lost_queue, exact against the script's own
count, with and without loss; and what it costs when nobody subscribes."""

import os
import signal
import time

import pytest

import netwatch_pb2 as pb
import wire
from harness import ALICE, CONN, sum_lost, wait_until

RING_FLOOD = 1500  # connects of three events: more than a ring of 64K holds
QUEUE_FLOOD = 8000  # more than a client's queue and its socket hold
IDLE_SECONDS = 3


@pytest.fixture
def server_port(actor):
    server = actor()
    port = server.server()
    server.drop_served()
    return port


def check_equation(totals, matched):
    assert totals["matched"] == matched, totals
    parts = ["delivered", "filtered", "lost_kernel", "lost_queue"]
    assert sum(totals[part] for part in parts) == matched, totals


def flood(actors, port, count):
    """count connects, shared among the actors."""
    each, rest = divmod(count, len(actors))
    assert not rest
    for one in actors:
        one.tell("connects", count=each, address="127.0.0.1", port=port)
    for one in actors:
        one.answer()


def real(events):
    return [event for event in events if not event.HasField("lost")]


def lost_by_cause(events):
    sums = {pb.Lost.KERNEL_RING: 0, pb.Lost.SUBSCRIBER_QUEUE: 0}
    for event in events:
        if event.HasField("lost"):
            assert event.lost.count > 0, event
            assert event.lost.HasField("first") and event.lost.HasField("last"), event
            sums[event.lost.cause] += event.lost.count
    return sums[pb.Lost.KERNEL_RING], sums[pb.Lost.SUBSCRIBER_QUEUE]


def test_exact_without_loss(subscribe, actor, server_port):
    client = actor()
    watch = subscribe("-a", "--stats", "--dport", server_port, uid=ALICE)
    begin = time.monotonic()
    client.connects(count=500, address="127.0.0.1", port=server_port)
    watch.wait_events(1500)
    assert len(watch.stopped_events()) == 1500
    check_equation(watch.totals(), 1500)
    assert watch.totals()["delivered"] == 1500
    assert 0 < watch.totals()["duration_s"] <= time.monotonic() - begin + 1


def test_kernel_ring_full(start_collector, subscribe, actor, server_port):
    """A collector that does not get to run: the kernel counts what finds the ring full."""
    collector = start_collector("--ring", "64K")
    clients = [actor(), actor(), actor()]
    watch = subscribe(
        "-a", "--stats", "--dport", server_port, uid=ALICE, socket=collector.socket
    )
    collector.pause()
    flood(clients, server_port, RING_FLOOD)
    collector.resume()
    flood(clients, server_port, 30)
    wait_until(
        lambda: sum_lost(watch.events()) + len(watch.out.lines) >= 3 * (RING_FLOOD + 30),
        "delivered and lost make up the flood",
    )
    events = watch.stopped_events()
    totals = watch.totals()
    check_equation(totals, 3 * (RING_FLOOD + 30))
    assert totals["lost_kernel"] > 0 and totals["lost_queue"] == 0, totals
    assert sum_lost(events, "KERNEL_RING") == totals["lost_kernel"]
    assert len([event for event in events if "conn" in event]) == totals["delivered"]


def test_stopped_client(start_collector, subscribe, actor, server_port):
    """A client that is stopped: its queue fills, the gap is told at its place."""
    collector = start_collector("--ring", "64K", "--queue", "128K")
    clients = [actor(), actor(), actor(), actor()]
    options = ["-a", "--stats", "--dport", server_port]
    watch = subscribe(*options, uid=ALICE, socket=collector.socket)
    os.kill(watch.pid, signal.SIGSTOP)
    flood(clients, server_port, QUEUE_FLOOD)
    os.kill(watch.pid, signal.SIGCONT)
    flood(clients, server_port, 40)
    wait_until(
        lambda: sum_lost(watch.events()) + len(watch.out.lines) >= 3 * (QUEUE_FLOOD + 40),
        "delivered and lost make up the flood",
    )
    events = watch.stopped_events()
    totals = watch.totals()
    check_equation(totals, 3 * (QUEUE_FLOOD + 40))
    assert totals["lost_queue"] > 0, totals
    assert sum_lost(events, "SUBSCRIBER_QUEUE") == totals["lost_queue"]
    assert sum_lost(events, "KERNEL_RING") == totals["lost_kernel"]
    assert len([event for event in events if "conn" in event]) == totals["delivered"]


def test_loss_is_told_beside_a_table(start_collector, netwatch, actor, server_port):
    """A line on stderr; stdout carries events only."""
    collector = start_collector("--ring", "64K")
    client = actor()
    watch = netwatch(
        *CONN, "-v", "--dport", server_port, socket=collector.socket
    )
    watch.wait_subscribed()
    collector.pause()
    client.connects(count=RING_FLOOD, address="127.0.0.1", port=server_port)
    collector.resume()
    wait_until(lambda: "lost" in watch.err.text(), "the loss is told on stderr")
    assert watch.stop() == 0
    assert b"lost" not in b"".join(watch.out.lines).lower()


@pytest.mark.parametrize("same_filter", [True, False], ids=["one slot", "two slots"])
def test_one_slow_of_two(start_collector, actor, server_port, same_filter):
    """Two readers, one does not read: the other loses nothing, and each account is exact."""
    collector = start_collector("--queue", "128K")
    clients = [actor(), actor(), actor(), actor()]
    criteria = {"rport": wire.ports(server_port)}
    others = criteria if same_filter else {**criteria, "family": [4]}
    with wire.Connection(collector.socket) as slow, wire.Connection(collector.socket) as fast:
        slow.subscribe(**criteria)
        fast.subscribe(**others)
        slots = {entry.slot for entry in wire.status(collector.socket).subscription}
        assert len(slots) == (1 if same_filter else 2)
        seen = []
        for _ in range(QUEUE_FLOOD // 400):
            flood(clients, server_port, 400)
            seen += fast.events(1200)
        matched = 3 * QUEUE_FLOOD
        late, totals = fast.unsubscribe()
        assert not late
        assert len({(event.connection.id, event.conn.event) for event in seen}) == matched
        assert (totals.matched, totals.delivered) == (matched, matched)
        assert (totals.lost_kernel, totals.lost_queue) == (0, 0)

        events, totals = slow.unsubscribe()
        assert totals.matched == matched
        assert totals.lost_queue > 0
        assert totals.delivered + totals.lost_queue + totals.lost_kernel == matched
        assert len(real(events)) == totals.delivered
        assert lost_by_cause(events) == (totals.lost_kernel, totals.lost_queue)


def test_gap_is_at_its_place(start_collector, actor, server_port):
    """What came before a gap is before it in the stream, and what came after is after it."""
    collector = start_collector("--queue", "128K")
    client = actor()
    with wire.Connection(collector.socket) as watch:
        watch.subscribe(rport=wire.ports(server_port))
        told = client.connects(count=QUEUE_FLOOD, address="127.0.0.1", port=server_port)
        order = {one["id"]: index for index, one in enumerate(told)}
        wait_until(
            lambda: wire.status(collector.socket).subscription[0].totals.lost_queue > 0,
            "something is lost",
        )
        events, totals = watch.unsubscribe()
    assert lost_by_cause(events)[1] == totals.lost_queue > 0
    delivered = []
    for event in events:
        if event.HasField("lost"):
            before = delivered[-1].time.ToNanoseconds() if delivered else 0
            assert event.lost.first.ToNanoseconds() >= before
            assert event.lost.last.ToNanoseconds() >= event.lost.first.ToNanoseconds()
        else:
            delivered.append(event)
    # Connects are one after the other, so the stream is in the script's order.
    indices = [order[event.connection.id] for event in delivered]
    assert indices == sorted(indices)


def test_joiner_counts_from_its_own_start(collector, actor, server_port):
    """The second reader of a slot is not charged with what the first one saw."""
    client = actor()
    criteria = {"rport": wire.ports(server_port)}
    with wire.Connection(collector.socket) as first, wire.Connection(collector.socket) as second:
        first.subscribe(**criteria)
        client.connects(count=100, address="127.0.0.1", port=server_port)
        second.subscribe(**criteria)
        client.connects(count=10, address="127.0.0.1", port=server_port)
        first_events = first.events(330)
        second_events = second.events(30)
        assert second.unsubscribe()[1].matched == 30
        client.connects(count=5, address="127.0.0.1", port=server_port)
        first.events(15)
        assert first.unsubscribe()[1].matched == 345
    assert first_events[300:] == second_events


def rests(collector):
    """Not one wake-up for longer than any timer that a client leaves behind."""
    before = collector.cpu()
    time.sleep(1.5)
    return collector.cpu() == before


def check_idle(collector, client, port):
    """No link, no CPU, not one wake-up, with traffic going on."""
    wait_until(lambda: not collector.links(), "the links are gone")
    wait_until(lambda: rests(collector), "the last client's end is dealt with")
    before = collector.cpu()
    end = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < end:
        client.connects(count=20, address="127.0.0.1", port=port)
        time.sleep(0.1)
    assert collector.cpu() == before
    assert not collector.links()


@pytest.mark.own_collector
def test_nobody_subscribed(collector, subscribe, actor, server_port):
    client = actor()
    check_idle(collector, client, server_port)
    watch = subscribe("--dport", server_port, uid=ALICE)
    assert collector.links()
    client.connects(count=10, address="127.0.0.1", port=server_port)
    watch.wait_events(20)
    watch.stop()
    check_idle(collector, client, server_port)


@pytest.mark.own_collector
def test_idle_after_a_client_was_killed(collector, subscribe, actor, server_port):
    client = actor()
    watch = subscribe("--dport", server_port, uid=ALICE)
    assert collector.links()
    watch.stop(signal.SIGKILL)
    check_idle(collector, client, server_port)
