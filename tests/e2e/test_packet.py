# SPDX-License-Identifier: GPL-2.0-only
"""Category packet against a witness: what AF_PACKET sockets of the test's own network
namespaces saw. Both must have the same segments, each as often."""

import signal
import socket
import subprocess

import pytest

import netns
from harness import ALICE, BOB, V4, V6, scaled, sum_lost, wait_until
from packets import check_same, pair, packets, sent_again, told_packets
from packets import tun_pair, wait_quiet, witness

SHORT = scaled(1000)  # connections
STREAM = scaled(100 << 20)  # bytes


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


@pytest.mark.kernels
def test_all_segments(pair, witness, packets, actor):
    """Short connections and a stream, IPv4 and IPv6, by veth and by loopback. Whoever closes
    first stays until the other side has closed, so nothing is left to TIME_WAIT."""
    here, there = pair
    server, far, near = actor(namespace=there), actor(namespace=here), actor(namespace=there)
    at_here, at_there = witness(here, "pair"), witness(there, "pair", "lo")
    watch = packets("--netns", here, "--netns", there, uid=0)
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
    check_same(events, at_here.segments() + at_there.segments(), sent_again(here, there))
    check_segments(events)
    assert len(events) > 16 * SHORT
    assert any(event["packet"].get("segments", 1) > 10 for event in events)


def connected(client, server, address, **options):
    """(client's end, server's end)"""
    listener = server.listen(address=address)
    told = client.connect(address=address, port=listener["port"], **options)
    return told, server.accept(fd=listener["fd"])


def close_both(client, server, ends):
    """The client first; its socket stays until the server's has gone."""
    client.shutdown(fd=ends[0]["fd"])
    server.receive_end(fd=ends[1]["fd"])
    server.close(fd=ends[1]["fd"])
    client.receive_end(fd=ends[0]["fd"])
    client.close(fd=ends[0]["fd"])


class Scene:
    """Two actors with a veth pair between them, all of it watched and witnessed."""

    def __init__(self, pair, witness, packets, actor, uid=ALICE):
        self.namespaces = pair
        self.client, self.server = (actor(uid=uid, namespace=one) for one in pair)
        self.witnesses = [witness(one, "pair", "lo") for one in pair]
        self.watch = packets(*(word for one in pair for word in ("--netns", one)), uid=0)

    def events(self):
        """All, of which the witnesses have seen the same."""
        wait_quiet(self.client, self.server)
        events = told_packets(self.watch)
        seen = [one for each in self.witnesses for one in each.segments()]
        check_same(events, seen, sent_again(*self.namespaces))
        return [event["packet"] | {"connection": event["connection"]} for event in events]


@pytest.fixture
def scene(pair, witness, packets, actor):
    return Scene(pair, witness, packets, actor)


def flagged(events, *flags):
    return [event for event in events if set(flags) <= set(event["flags"])]


@pytest.mark.kernels
@pytest.mark.parametrize("addresses", [V4, V6], ids=["ipv4", "ipv6"])
def test_reset_by_close(scene, addresses):
    """With unread data, and with a linger time of zero: the socket's own segments."""
    ends = connected(scene.client, scene.server, addresses[1])
    scene.client.send(fd=ends[0]["fd"], count=10)
    scene.watch.wait_events(9)
    scene.server.close(fd=ends[1]["fd"])
    scene.client.receive_end(fd=ends[0]["fd"])
    other = connected(scene.client, scene.server, addresses[1])
    scene.client.reset(fd=other[0]["fd"])
    scene.server.receive_end(fd=other[1]["fd"])
    scene.server.close(fd=other[1]["fd"])
    scene.client.close(fd=ends[0]["fd"])
    resets = flagged(scene.events(), "RST")
    told = [(event["direction"], int(event["connection"]["id"])) for event in resets]
    expected = [("TX", ends[1]), ("RX", ends[0]), ("TX", other[0]), ("RX", other[1])]
    assert told == [(direction, end["id"]) for direction, end in expected]
    for event, (_, end) in zip(resets, expected):
        for name in "laddr", "lport", "raddr", "rport", "uid":
            assert event["connection"][name] == end[name]


@pytest.mark.kernels
@pytest.mark.parametrize("addresses", [V4, V6], ids=["ipv4", "ipv6"])
def test_reset_as_answer(scene, addresses):
    """Data for whom has no more use for it: the kernel answers in the socket's name."""
    ends = connected(scene.client, scene.server, addresses[1])
    scene.server.shutdown(fd=ends[1]["fd"], how=socket.SHUT_RDWR)
    scene.client.receive_end(fd=ends[0]["fd"])
    scene.client.send(fd=ends[0]["fd"], count=10)
    scene.client.receive_end(fd=ends[0]["fd"])
    scene.client.close(fd=ends[0]["fd"])
    scene.server.close(fd=ends[1]["fd"])
    resets = flagged(scene.events(), "RST")
    assert [int(event["connection"]["id"]) for event in resets] == [ends[1]["id"], ends[0]["id"]]


@pytest.mark.kernels
def test_reset_of_listener(scene, actor):
    """A segment of no connection, and one that does not fit a handshake."""
    listener = scene.server.listen(address=V6[1])
    raw = actor(uid=0, namespace=scene.namespaces[0])
    ends = {"laddr": V6[0], "raddr": V6[1], "rport": listener["port"]}
    for number, flags in enumerate((0x10, 0x18)):  # ACK; PSH, ACK
        raw.raw_segment(lport=1000 + number, seq=5, ack=7, flags=flags, **ends)
    scene.watch.wait_events(4)
    told = told_packets(scene.watch)
    check_same(told, scene.witnesses[1].segments())
    events = [event["packet"] | {"connection": event["connection"]} for event in told]
    assert [event["direction"] for event in events] == ["RX", "TX"] * 2
    assert {event["connection"]["rport"] for event in events} == {1000, 1001}


@pytest.mark.kernels
@pytest.mark.parametrize("addresses", [V4, V6], ids=["ipv4", "ipv6"])
def test_handshake_is_the_listeners(scene, addresses):
    """Its id with the segment's own ends, until the connection has a socket."""
    ends = connected(scene.client, scene.server, addresses[1])
    close_both(scene.client, scene.server, ends)
    events = [event for event in scene.events() if event["connection"]["role"] == "SERVER"]
    of_listener = [event for event in events if int(event["connection"]["id"]) != ends[1]["id"]]
    assert [(event["direction"], event["flags"]) for event in of_listener] == [
        ("RX", ["SYN"]), ("TX", ["SYN", "ACK"]), ("RX", ["ACK"]),
    ]
    assert len({event["connection"]["id"] for event in of_listener}) == 1
    for event in events:
        for name in "laddr", "lport", "raddr", "rport", "uid", "netns":
            assert event["connection"][name] == ends[1][name]


def test_keepalives(scene):
    ends = connected(scene.client, scene.server, V4[1])
    fd = ends[0]["fd"]
    scene.client.option(fd=fd, level=socket.IPPROTO_TCP, name=socket.TCP_KEEPIDLE, value=1)
    scene.client.option(fd=fd, level=socket.SOL_SOCKET, name=socket.SO_KEEPALIVE, value=1)
    scene.watch.wait_events(10)
    close_both(scene.client, scene.server, ends)
    events = scene.events()
    next_seq = events[0]["seq"] + 1
    probes = [one for one in events if one["seq"] == next_seq - 1 and one["flags"] == ["ACK"]]
    assert {one["direction"] for one in probes} == {"TX", "RX"}
    assert all(one["length"] == 0 for one in probes)


def test_retransmissions(scene):
    """What is sent again is told again, and what never came is told by the sender only."""
    ends = connected(scene.client, scene.server, V4[1])
    drop = "add table ip t; add chain ip t c { type filter hook input priority 0; }; "
    netns.run(scene.namespaces[1], "nft", f"{drop} add rule ip t c meta length > 500 drop")
    scene.client.send(fd=ends[0]["fd"], count=4000)
    wait_until(
        lambda: len(again(scene.watch.events())) >= 2, "segments are sent again"
    )
    netns.run(scene.namespaces[1], "nft", "flush", "ruleset")
    scene.server.receive(fd=ends[1]["fd"], count=4000)
    close_both(scene.client, scene.server, ends)
    wait_quiet(scene.client, scene.server)
    dropped_by = scene.watch.stopped_events()
    sender = [one for one in dropped_by if one["connection"]["laddr"] == V4[0]]
    check_same(sender, scene.witnesses[0].segments())
    receiver = [one for one in dropped_by if one["connection"]["laddr"] == V4[1]]
    received = {one["packet"]["seq"] for one in receiver if one["packet"]["direction"] == "RX"}
    sent = [one["packet"] for one in sender if one["packet"]["direction"] == "TX"]
    assert len(receiver) < len(sender) and {one["seq"] for one in sent} >= received


def again(events):
    """Segments with data of which that socket has sent the same before."""
    seen, found = set(), []
    for event in events:
        packet = event["packet"]
        if packet["direction"] == "TX" and packet["length"]:
            found += [packet] if packet["seq"] in seen else []
            seen.add(packet["seq"])
    return found


def test_ip_options(scene):
    """The header of TCP stands behind them: a record-route option, IPv4."""
    fd = scene.client.make()
    route = bytes([7, 39, 4, *[0] * 36, 1]).hex()
    scene.client.option(fd=fd, level=socket.IPPROTO_IP, name=socket.IP_OPTIONS, value=route)
    check_odd_headers(scene, fd, V4[1])


@pytest.mark.parametrize("name", ["IPV6_DSTOPTS", "IPV6_HOPOPTS"])
def test_extension_headers(pair, witness, packets, actor, name):
    """Which need privilege. An option that is padding."""
    scene = Scene(pair, witness, packets, actor, uid=0)
    fd = scene.client.make(family="AF_INET6")
    padding = bytes([0, 0, 1, 4, *[0] * 4]).hex()
    scene.client.option(fd=fd, level=socket.IPPROTO_IPV6, name=getattr(socket, name), value=padding)
    check_odd_headers(scene, fd, V6[1])


def check_odd_headers(scene, fd, address):
    listener = scene.server.listen(address=address)
    told = scene.client.use(fd=fd, address=address, port=listener["port"])
    accepted = scene.server.accept(fd=listener["fd"])
    scene.client.send(fd=fd, count=1000)
    scene.server.receive(fd=accepted["fd"], count=1000)
    close_both(scene.client, scene.server, (told | {"fd": fd}, accepted))
    events = scene.events()
    assert [(one["direction"], one["length"]) for one in events if one["length"]] == [
        ("TX", 1000), ("RX", 1000),
    ]


def test_vlan(scene):
    add = "link", "add", "link", "pair", "name", "v7", "type", "vlan", "id", "7"
    for namespace, address in zip(scene.namespaces, ("10.99.7.1", "10.99.7.2")):
        ip = "ip", "-n", namespace
        if subprocess.run([*ip, *add], check=False).returncode:
            pytest.skip("this kernel has no VLANs")
        subprocess.run([*ip, "address", "add", f"{address}/24", "dev", "v7"], check=True)
        subprocess.run([*ip, "link", "set", "v7", "up"], check=True)
    ends = connected(scene.client, scene.server, "10.99.7.2")
    scene.client.send(fd=ends[0]["fd"], count=1000)
    close_both(scene.client, scene.server, ends)
    events = scene.events()
    assert {one["connection"]["laddr"] for one in events} == {"10.99.7.1", "10.99.7.2"}


@pytest.mark.parametrize("address", [V4[1], V6[1]])
def test_tun(tun_pair, witness, packets, actor, address):
    """A device whose packets begin with IP, in the hands of a process."""
    scene = Scene(tun_pair, witness, packets, actor)
    ends = connected(scene.client, scene.server, address)
    scene.server.tell("receive", fd=ends[1]["fd"], count=100_000)
    scene.client.send(fd=ends[0]["fd"], count=100_000)
    scene.server.answer()
    close_both(scene.client, scene.server, ends)
    events = scene.events()
    assert sum(one["length"] for one in events if one["direction"] == "TX") >= 100_000


def test_mapped(scene):
    """A server of both families is told as what its peer is, and so is its handshake."""
    listener = scene.server.listen(address="::", dual=True)
    told = scene.client.connect(address=V4[1], port=listener["port"])
    accepted = scene.server.accept(fd=listener["fd"])
    scene.client.send(fd=told["fd"], count=10)
    close_both(scene.client, scene.server, (told, accepted))
    events = scene.events()
    assert {event["connection"]["laddr"] for event in events} == set(V4)


FILTERS = [
    ["--sport", "SERVER"], ["--dport", "CLIENT"], ["--raddr", V4[0]], ["--laddr", f"{V4[1]}/32"],
    ["--role", "server"], ["--pid", "PID"], ["--uid", "ALICE", "--raddr", V4[0]],
    ["--pid", "PID", "--raddr", V4[0]], ["-4", "--role", "server"],
]


@pytest.mark.parametrize("words", FILTERS, ids=" ".join)
def test_filters_see_the_handshake(pair, packets, actor, words):
    """A listener's segments are judged by their own ends, and by its owner."""
    client, server = (actor(namespace=one) for one in pair)
    listener = server.listen(address=V4[1])
    fd = client.make()
    client.bind(fd=fd, address=V4[0])
    values = {"SERVER": listener["port"], "PID": server.pid, "ALICE": ALICE}
    values["CLIENT"] = client.port_of(fd=fd)
    words = [str(values.get(word, word)) for word in words]
    watch = packets("--netns", pair[1], *words, uid=0)
    none = packets("--netns", pair[1], "--not", *words[-2:], uid=0) if len(words) == 2 else None
    told = client.use(fd=fd, address=V4[1], port=listener["port"])
    accepted = server.accept(fd=listener["fd"])
    close_both(client, server, (told | {"fd": fd}, accepted))
    wait_quiet(client, server)
    events = told_packets(watch)
    assert [event["packet"]["flags"] for event in events[:3]] == [["SYN"], ["SYN", "ACK"], ["ACK"]]
    assert len(events) >= 5  # of the connection's socket, since when its process is known
    assert not none or told_packets(none) == []


@pytest.mark.kernels
def test_socket_that_was_there_before(pair, witness, packets, actor):
    """Also one that no process has accepted yet, whether or not it has segments until then, and
    one that became ours later."""
    client, server = (actor(uid=0, namespace=one) for one in pair)
    listener = server.listen(address=V4[1])

    def connect():
        return client.connect(address=V4[1], port=listener["port"])

    ends = [(connect(), server.accept(fd=listener["fd"])) for _ in range(2)]
    waiting = connect(), connect()
    seen = [witness(one, "pair") for one in pair]
    watch = packets("--netns", pair[0], "--netns", pair[1], "--port", listener["port"], uid=0)
    of_alice = packets("--netns", pair[1], uid=ALICE)
    client.send(fd=waiting[0]["fd"], count=10)
    ends += [(one, server.accept(fd=listener["fd"])) for one in waiting]
    for end, _ in ends:
        client.send(fd=end["fd"], count=10)
    server.receive(fd=ends[1][1]["fd"], count=10)
    server.give(fd=ends[1][1]["fd"], uid=ALICE)
    for end in ends:
        close_both(client, server, end)
    wait_quiet(client, server)
    check_same(told_packets(watch), [one for each in seen for one in each.segments()])
    given = told_packets(of_alice)
    assert len(given) >= 3
    assert {int(event["connection"]["id"]) for event in given} == {ends[1][1]["id"]}


def test_segments_of_others(pair, packets, actor):
    """A user sees what belongs to him: no segment of the other side, which is Bob's."""
    client, server = actor(namespace=pair[0]), actor(uid=BOB, namespace=pair[1])
    alice, bob, nobody = (packets(uid=uid) for uid in (ALICE, BOB, 65534))
    ends = connected(client, server, V4[1])
    client.send(fd=ends[0]["fd"], count=1000)
    close_both(client, server, ends)
    wait_quiet(client, server)
    sides = {V4[0]: told_packets(alice), V4[1]: told_packets(bob)}
    for address, events in sides.items():
        assert len(events) >= 8
        assert {event["connection"]["laddr"] for event in events} == {address}
    assert told_packets(nobody) == []


def test_no_is_not_for_ever(pair, packets, actor):
    """Sockets that nobody wanted are wanted by another owner or by another subscriber, also one
    that waits in a listener's queue, where no walk finds it."""
    client, server = (actor(uid=0, namespace=one) for one in pair)
    of_alice = packets("--netns", pair[1], uid=ALICE)
    listener = server.listen(address=V4[1])
    first, second = (client.connect(address=V4[1], port=listener["port"]) for _ in range(2))
    ends = first, server.accept(fd=listener["fd"])
    for one in first, second:
        client.send(fd=one["fd"], count=10)
    server.give(fd=ends[1]["fd"], uid=ALICE)
    of_root = packets("--netns", pair[1], "--raddr", V4[0], uid=0)
    waiting = second, server.accept(fd=listener["fd"])
    for one in ends, waiting:
        client.send(fd=one[0]["fd"], count=10)
        close_both(client, server, one)
    wait_quiet(client, server)
    given, everything = told_packets(of_alice), told_packets(of_root)
    assert {int(one["connection"]["id"]) for one in given} == {ends[1]["id"]}
    by_id = [int(one["connection"]["id"]) for one in everything]
    assert set(by_id) == {ends[1]["id"], waiting[1]["id"]}
    assert min(by_id.count(end["id"]) for end in (ends[1], waiting[1])) >= 5
