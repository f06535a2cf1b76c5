# SPDX-License-Identifier: GPL-2.0-only
"""Layer times of packets (-t), held against the clock of the programs that send and read."""

import collections
import socket
import subprocess
import time

import pytest

import wire
from harness import ALICE, BOB, V4, V6, link, scaled, wait_until

PACKETS = "subscribe", "--events", "packet", "-v", "-o", "json", "--stats"
STAGES = {
    "RX": ["mac_ns", "ip_ns", "tcp_ns", "app_ns"],
    "TX": ["tcp_ns", "ip_ns", "qdisc_ns", "mac_ns"],
}
STREAM = scaled(100 << 20)  # bytes
SHORT = scaled(1000)  # connections
MS = 1_000_000
KEPT_TX = 32  # at least, of the segments on their way to the device
KEPT = 64  # received segments of a socket that wait
WARM = 2 << 20  # bytes after which the congestion window is wide


@pytest.fixture
def packets(netwatch):
    """A live subscription to packets."""

    def run(*args, **options):
        return netwatch(*PACKETS, *args, **options).wait_subscribed()

    return run


@pytest.fixture
def pair(new_namespace):
    here, there = new_namespace(), new_namespace()
    link(here, there)
    return here, there


class Connected:
    """Two actors and a connection between them; which ends first is told by name."""

    def __init__(self, client, server, address="127.0.0.1"):
        self.client, self.server = client, server
        self.listener = server.listen(address=address)
        self.port = self.listener["port"]
        self.address = address

    def open(self):
        self.near = self.client.connect(address=self.address, port=self.port)["fd"]
        self.far = self.server.accept(fd=self.listener["fd"])["fd"]
        return self

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


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", *[ends[1] for ends in (V4, V6)]])
def test_stages(request, collector, packets, connected, address):
    """All that this kernel can tell is told, and is no longer than what the application saw:
    from before send to after it, and to after the read."""
    apart = address in (V4[1], V6[1])
    near, far = request.getfixturevalue("pair") if apart else (None, None)
    hooks = usable(collector)
    both = connected(address, near, far)
    watch = packets("-t", "--port", both.port)
    both.open()
    moments = []
    for _ in range(scaled(50)):
        sent = both.client.timed_send(fd=both.near, count=100)
        read = both.server.timed_receive(fd=both.far, count=100)
        moments.append((sent, read))
    both.close()
    events = told(watch)
    family = 6 if ":" in address else 4
    for direction in "TX", "RX":
        segments = data(events, direction, both.port)
        assert len(segments) == len(moments)
        for event, (sent, read) in zip(segments, moments):
            known = stages(event)
            assert list(known) == expected_stages(hooks, direction, family, not apart), event
            begin, end = sent[0], sent[1] if direction == "TX" else read[1]
            assert 0 < sum(known.values()) <= end - begin, event
    for event in events:
        if not event["packet"]["length"]:
            assert not {"app_ns", "tcp_ns"} & set(stages(event)), event


def test_slow_reader(packets, connected):
    """What waits for the reader is app_ns, and nothing else is."""
    both = connected()
    watch = packets("-t", "--lport", both.port)
    both.open()
    sent, arrived = both.client.timed_send(fd=both.near, count=100)
    both.wait_arrived(100)
    time.sleep(0.05)
    begin, end = both.server.timed_receive(fd=both.far, count=100)
    both.close()
    (event,) = data(told(watch), "RX", both.port)
    known = stages(event)
    assert begin - arrived <= sum(known.values())
    assert 50 * MS <= known.pop("app_ns") <= end - sent
    assert sum(known.values()) < 40 * MS


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", V4[1]])
def test_held_back(request, collector, packets, connected, address):
    """What TCP holds back is tcp_ns, where this kernel can tell it from ip_ns, and nothing else."""
    apart = address == V4[1]
    near, far = request.getfixturevalue("pair") if apart else (None, None)
    both = connected(address, near, far)
    watch = packets("-t", "--rport", both.port)
    both.open()
    both.client.option(fd=both.near, level=socket.IPPROTO_TCP, name=socket.TCP_CORK, value=1)
    sent, _ = both.client.timed_send(fd=both.near, count=100)
    time.sleep(0.05)
    both.client.option(fd=both.near, level=socket.IPPROTO_TCP, name=socket.TCP_CORK, value=0)
    _, end = both.server.timed_receive(fd=both.far, count=100)
    both.close()
    (event,) = data(told(watch), "TX", both.port)
    known = stages(event)
    family = 6 if ":" in address else 4
    names = expected_stages(usable(collector), "TX", family, not apart)
    assert list(known) == names, event
    assert 50 * MS <= known.pop(names[0]) <= end - sent
    assert sum(known.values()) < 40 * MS


def test_parts(packets, connected):
    """A segment is read when its last byte is, and told once."""
    both = connected()
    watch = packets("-t", "--lport", both.port)
    both.open()
    both.client.send(fd=both.near, count=1000)
    both.server.receive(fd=both.far, count=999)
    time.sleep(0.05)
    both.server.receive(fd=both.far, count=1)
    both.close()
    (event,) = data(told(watch), "RX", both.port)
    assert 50 * MS <= stages(event)["app_ns"] < 1000 * MS


def test_coalesced(packets, connected):
    """Segments that arrive while nobody reads become few reads: each is told once, with a time of
    its own, unless it waited for a second."""
    count, size = max(8, scaled(40)), 700
    both = connected()
    watch = packets("-t", "--lport", both.port)
    both.open()
    sent = time.monotonic()
    both.client.sends_each(fd=both.near, count=count, size=size)
    both.wait_arrived(count * size)
    begin, end = both.server.timed_receive(fd=both.far, count=count * size)
    waited = time.monotonic() - sent
    both.close()
    first_of = {}  # a slow machine may send one again
    for event in data(told(watch), "RX", both.port):
        first_of.setdefault(event["packet"]["seq"], event)
    segments = list(first_of.values())
    assert sum(event["packet"]["length"] for event in segments) == count * size
    assert len(segments) == count
    timed = [one for one in segments if "app_ns" in stages(one)]
    assert waited > 0.9 or timed == segments
    read = [since(one, segments[0]) + sum(stages(one)[name] for name in stages(one)
                                          if name not in ("mac_ns", "ip_ns")) for one in timed]
    assert not timed or max(read) - min(read) <= end - begin
    assert all(stages(one)["app_ns"] > 0 for one in timed)


def delay(namespace):
    """At least 100 ms in the queueing discipline of the pair."""

    def tc(*words):
        command = ["tc", "-n", namespace, "qdisc", "replace", "dev", "pair", "root", *words]
        return subprocess.run(command, capture_output=True).returncode

    if tc("netem", "delay", "100ms"):
        # Without netem: one buffer uses up what may be sent at once, the next one waits.
        assert not tc("tbf", "rate", "100kbit", "burst", "1600", "limit", "100000")


def test_queueing_discipline(pair, packets, connected):
    """What is delayed there is qdisc_ns, and nothing else is. (More than a few segments are held
    back by TCP meanwhile.)"""
    here, there = pair
    both = connected(V4[1], here, there)
    watch = packets("-t", "--port", both.port)
    both.open()
    delay(here)
    both.client.sends_each(fd=both.near, count=2, size=1400)
    both.server.receive(fd=both.far, count=2 * 1400)
    both.close()
    events = told(watch)
    segments = data(events, "TX", both.port)
    known = stages(segments[-1])
    assert 99 * MS <= known.pop("qdisc_ns") < 1000 * MS, segments
    assert sum(known.values()) < 50 * MS, segments
    received = data(events, "RX", both.port)
    assert all(sum(stages(one).values()) < 50 * MS for one in received), received


def drop_once(namespace, length):
    """The first IPv4 packet of that length."""
    rules = f"""table ip t {{ chain c {{ type filter hook input priority 0;
        meta length {length} numgen inc mod 1000000 == 0 drop; }}; }}"""
    subprocess.run(["ip", "netns", "exec", namespace, "nft", rules], check=True)


def test_lost_segment(pair, packets, connected):
    """What came early is in the queue when what was missing has come. What is sent again was
    given by the application long ago."""
    here, there = pair
    both = connected(V4[1], here, there)
    watch = packets("-t", "--port", both.port)
    both.open()
    drop_once(there, 20 + 20 + 12 + 777)
    for size in 100, 777, 300, 200:
        both.client.sends_each(fd=both.near, count=1, size=size)
    both.server.receive(fd=both.far, count=1377)
    both.close()
    events = told(watch)
    sent, received = (data(events, direction, both.port) for direction in ("TX", "RX"))
    lost = next(one["packet"]["seq"] for one in sent if one["packet"]["length"] == 777)
    assert len(received) == len({one["packet"]["seq"] for one in received}) == 4, received
    again = next(one for one in received if one["packet"]["seq"] == lost)
    early = [one for one in received if one["packet"]["seq"] > lost and since(again, one) > 0]
    assert early
    for one in early:
        if "tcp_ns" in stages(one):
            assert stages(one)["tcp_ns"] >= since(again, one)
    first, *copies = [one for one in sent if one["packet"]["seq"] == lost]
    assert copies and "ip_ns" in stages(first)
    of_send = "tcp_ns" if "tcp_ns" in stages(first) else "ip_ns"  # that begins with it
    assert all(of_send not in stages(one) for one in copies)


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


@pytest.mark.parametrize("address", ["127.0.0.1", V4[1], V6[1]])
def test_stream(request, start_collector, packets, connected, address):
    """GSO and GRO, with two subscribers of which one wants times. All times are of this run."""
    near, far = (None, None) if address == "127.0.0.1" else request.getfixturevalue("pair")
    collector = start_collector("--queue", "64M", "--ring", "16M")
    both = connected(address, near, far)
    timed = packets("-t", "--port", both.port, socket=collector.socket)
    plain = packets("--port", both.port, socket=collector.socket)
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


def test_many_connections(start_collector, packets, actor):
    """Buffers are used again and again: no time is older than the run, and none is missing."""
    collector = start_collector("--queue", "64M", "--ring", "16M")
    server, clients = actor(), [actor() for _ in range(3)]
    port = server.server(answer=3000)
    timed = packets("-t", "--port", port, socket=collector.socket)
    plain = packets("--port", port, socket=collector.socket)
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


def test_close_with_unread_data(packets, connected):
    """It is told then, and nobody has read it."""
    both = connected()
    watch = packets("-t", "--lport", both.port)
    both.open()
    both.client.send(fd=both.near, count=100)
    both.wait_arrived(100)
    assert not data(watch.events(), "RX", both.port)
    both.server.close(fd=both.far)
    wait_until(lambda: data(watch.events(), "RX", both.port), "it is told at close", 0.9)
    both.client.receive_end(fd=both.near)
    both.client.close(fd=both.near)
    (event,) = data(told(watch), "RX", both.port)
    assert "app_ns" not in stages(event) and stages(event)


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
    old, new = data(told(watch), "RX", both.port)
    assert "app_ns" not in stages(old) and "app_ns" in stages(new)


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
    both.client.sends_each(fd=both.near, count=count, size=size)
    both.wait_arrived(count * size)
    both.server.receive(fd=both.far, count=count * size)
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
