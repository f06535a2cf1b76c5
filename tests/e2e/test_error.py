# SPDX-License-Identifier: GPL-2.0-only
"""The category error: one event for each segment that is wrong, made by hand, with the right
kind, the kernel's reason, and the connection; none for what is in order."""

import json
import os
import re
import socket
import struct

import pytest

import netns
import segments
import wire
from harness import ALICE, BOB, DEADLINE_S, free_port, scaled, wait_until
from segments import ACK, RST, SYN

GOOD = scaled(100_000)  # segments
CLOSED = scaled(1000)  # connections
CHURN = scaled(40)  # subscriptions
PLACES = 65536  # of sockets that are found by their ends
LOOPBACKS = {"IPv4": "127.0.0.1", "IPv6": "::1"}


def reason(*names):
    """The first that the running kernel has: a reason was divided in later ones."""
    return next(n for n in names if segments.has_enumerator(f"SKB_DROP_REASON_{n}"))


# name: (kind, names of the reason, newest first; what is sent)
WRONG = {
    "checksum": ("CHECKSUM", ["TCP_CSUM"], dict(payload=b"bad", good=False)),
    "long checksum": ("CHECKSUM", ["TCP_CSUM"], dict(payload=b"bad" * 300, good=False)),
    "beyond the window": ("SEQUENCE", ["TCP_INVALID_SEQUENCE"], dict(seq=1 << 29, payload=b"x")),
    "old": (
        "SEQUENCE", ["TCP_OLD_SEQUENCE", "TCP_INVALID_SEQUENCE"], dict(seq=-500, payload=b"old"),
    ),
    "ack of unsent": ("SEQUENCE", ["TCP_ACK_UNSENT_DATA"], dict(ack=5000, payload=b"x")),
    "too old ack": ("SEQUENCE", ["TCP_TOO_OLD_ACK"], dict(ack=-(1 << 30), payload=b"x")),
    "no flags": ("DROP", ["TCP_FLAGS"], dict(flags=0, payload=b"x")),
    "SYN": ("DROP", ["TCP_INVALID_SYN"], dict(flags=SYN)),
    "wrong RST": ("DROP", ["TCP_RESET"], dict(seq=100, flags=RST)),
    "short header": ("DROP", ["PKT_TOO_SMALL"], dict(doff=16)),
}


@pytest.fixture
def collector(shared_collector):
    return shared_collector


@pytest.fixture
def watch(netwatch):
    """A live subscription to errors."""

    def run(*args, **options):
        client = netwatch(
            "subscribe", "--events", "error", "-v", "--stats", "-o", "json", *args, **options
        )
        return client.wait_subscribed()

    return run


class Pair:
    """Two actors, and a connection between them, with some data exchanged."""

    def __init__(self, client, server, address="127.0.0.1"):
        self.client, self.server, self.address = client, server, address
        listener = server.listen(address=address)
        self.listener, self.port = listener["fd"], listener["port"]

    def open(self):
        self.ours = self.client.connect(address=self.address, port=self.port)
        self.theirs = self.server.accept(fd=self.listener)
        self.client.send(fd=self.ours["fd"], count=1000)
        self.server.receive(fd=self.theirs["fd"], count=1000)
        self.server.send(fd=self.theirs["fd"], count=1000)
        self.client.receive(fd=self.ours["fd"], count=1000)
        return self

    def told(self, side):
        return self.ours if side == "client" else self.theirs

    def victim(self, side):
        ends = (self.client.pid, self.ours), (self.server.pid, self.theirs)
        (pid, told), (peer_pid, peer) = ends if side == "client" else ends[::-1]
        return segments.Victim(pid, told, peer_pid, peer)


@pytest.fixture
def pair(actor):
    """client and server are of ALICE and BOB, if not said otherwise."""

    def make(client=None, server=None, **options):
        return Pair(client or actor(), server or actor(uid=BOB), **options)

    return make


def check_connection(connection, told):
    for field in ["laddr", "lport", "raddr", "rport", "pid", "uid", "netns"]:
        assert connection.get(field) == told[field], (field, connection, told)
    assert int(connection["id"]) == told["id"]


def check_totals(client):
    totals = client.totals()
    assert totals["matched"] == totals["delivered"] + totals["lost_kernel"] + totals["lost_queue"]
    return totals


def counters():
    """Of this network namespace: {protocol:name: count} of the kernel's counters."""
    found = {}
    for path in "/proc/net/snmp", "/proc/net/netstat":
        lines = [line.split() for line in open(path)]
        for names, values in zip(lines[::2], lines[1::2]):
            found |= {names[0] + name: int(n) for name, n in zip(names[1:], values[1:])}
    return found


def is_one(event, kind, name, sent):
    error = event["error"]
    assert (error["kind"], error.get("reason")) == (kind, name), event
    for field in "seq", "ack", "length":
        if field in sent:
            assert error.get(field, 0) == sent[field], (field, event, sent)


def inject_all(victim, watching, expected):
    """One after the other, each with its event."""
    for name, (kind, names, options) in WRONG.items():
        sent = victim.send(**options)
        if not options.get("flags", ACK) & ACK:
            del sent["ack"]
        expected.append((kind, reason(*names), sent))
        events = watching.wait_events(len(expected))
        assert len(events) == len(expected), (name, events[len(expected) :])
        is_one(events[-1], *expected[-1])
    sent = victim.send(payload=b"x", options=victim.timestamp(ago=1_000_000))
    expected.append(("SEQUENCE", "TCP_RFC7323_PAWS", sent))
    watching.wait_events(len(expected))


@pytest.mark.kernels
@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("family", LOOPBACKS)
def test_each_wrong_segment_once(watch, pair, family, side):
    """Kind, reason, numbers and connection of each; keepalives are none."""
    made = pair(address=LOOPBACKS[family])
    watching = watch("--port", made.port)
    made.open()
    victim, expected, told = made.victim(side), [], made.told(side)
    before = counters()
    inject_all(victim, watching, expected)
    after = counters()
    victim.send(seq=-1, flags=ACK)  # a keepalive
    victim.send(flags=RST)  # the exact one
    expected.append(("RESET_RECEIVED", None, {}))
    watching.wait_events(len(expected))
    events = watching.stopped_events()
    assert len(events) == len(expected), events[len(expected) :]
    for event, one in zip(events, expected):
        is_one(event, *one)
        check_connection(event["connection"], told)
        assert event["connection"]["role"] == side.upper()
        assert event["error"]["state"] == "ESTABLISHED", event
    assert check_totals(watching)["matched"] == len(expected)
    assert after["Tcp:InCsumErrors"] - before["Tcp:InCsumErrors"] >= 2
    assert after["TcpExt:PAWSEstab"] - before["TcpExt:PAWSEstab"] >= 1
    victim.close()


def test_established_before(watch, pair):
    """Connections that are older than the first subscription."""
    made = pair().open()
    watching = watch("--sport", made.port, uid=BOB)
    victim = made.victim("server")
    inject_all(victim, watching, [])
    for event in watching.stopped_events():
        connection = event["connection"]
        assert int(connection["id"]) == made.theirs["id"] and connection["pid"] == made.server.pid
    victim.close()


def nft(namespace, rules):
    netns.run(namespace, "nft", "-f", "-", input=rules)


def dropped_by_nft(namespace):
    """What the counters of its rules say: packets."""
    listed = netns.run(namespace, "nft", "-j", "list", "ruleset")
    return sum(
        part["counter"]["packets"]
        for entry in json.loads(listed)["nftables"]
        for part in entry.get("rule", {}).get("expr", [])
        if "counter" in part
    )


def chain(hook, rule):
    return f"table inet t {{\nchain c {{\ntype filter hook {hook} priority 0;\n{rule}\n}}\n}}\n"


@pytest.mark.kernels
@pytest.mark.parametrize("hook", ["input", "output"])
def test_firewalled_handshake(watch, actor, namespace, hook):
    """A SYN that is dropped on its way in is the listener's, on its way out the client's, though
    that one has no port yet when it connects."""
    client, server = actor(namespace=namespace), actor(uid=BOB, namespace=namespace)
    listener = server.listen(address="0.0.0.0")
    nft(namespace, chain(hook, f"tcp dport {listener['port']} counter drop"))
    watching = watch(uid=BOB if hook == "input" else ALICE)
    fd = client.make()
    client.tell("use", fd=fd, address="127.0.0.1", port=listener["port"])
    event = watching.wait_events(1)[0]
    assert event["error"]["kind"] == "DROP", event
    assert event["error"]["reason"] == "NETFILTER_DROP", event
    assert event["error"].get("length", 0) == 0 and "ack" not in event["error"], event
    connection, port = event["connection"], listener["port"]
    if hook == "input":
        assert connection["lport"] == port and connection["rport"] != port, event
        assert connection["pid"] == server.pid and connection["uid"] == BOB, event
        assert event["error"]["state"] == "LISTEN", event
    else:
        assert connection["rport"] == port and connection["lport"] != port, event
        assert connection["pid"] == client.pid and connection["uid"] == ALICE, event
        assert event["error"]["state"] == "SYN_SENT", event
    client.end()
    events = watching.stopped_events()
    check_totals(watching)
    assert len({event["connection"]["id"] for event in events}) == 1, events
    assert len(events) == dropped_by_nft(namespace)


def retransmitted(namespace):
    """RetransSegs of the namespace."""
    text = netns.read(namespace, "/proc/thread-self/net/snmp")
    values = [line.split() for line in text.splitlines() if line.startswith("Tcp:")]
    return int(dict(zip(*values))["RetransSegs"])


def without_duplicates(events, namespace):
    """On a busy machine the kernel sends again what has arrived, and the copy is an old segment:
    as many as it sent again, at most."""
    old = reason("TCP_OLD_SEQUENCE", "TCP_INVALID_SEQUENCE")
    rest = [event for event in events if event["error"].get("reason") != old]
    assert len(events) - len(rest) <= retransmitted(namespace)
    return rest


@pytest.mark.kernels
def test_losses_are_told_and_retransmissions_are_not(watch, pair, actor, namespace):
    """A firewall drops one large segment in five: these events, and no other."""
    made = pair(actor(namespace=namespace), actor(namespace=namespace))
    nft(
        namespace,
        chain("input", "meta length > 200 numgen inc mod 5 == 3 counter drop"),
    )
    watching = watch("--netns", f"/run/netns/{namespace}")
    made.open()
    count = 3_000_000
    made.client.tell("send", fd=made.ours["fd"], count=count)
    made.server.receive(fd=made.theirs["fd"], count=count)
    made.client.answer()
    dropped = dropped_by_nft(namespace)
    watching.wait_events(dropped)
    told = watching.stopped_events()
    assert check_totals(watching)["matched"] == len(told)
    events = without_duplicates(told, namespace)
    assert dropped == len(events) and dropped > 5
    for event in events:
        is_one(event, "DROP", "NETFILTER_DROP", {})
        check_connection(event["connection"], made.theirs)
        assert event["error"]["length"] > 100, event
    assert retransmitted(namespace) > 5


def send_segments(made, count):
    """From client to server, which reads them; small ones, so that they are not joined."""
    victim = made.victim("server")
    victim.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    victim.peer.settimeout(DEADLINE_S)
    made.server.tell("receive_end", fd=made.theirs["fd"])
    while segs_in(victim.socket) < count:
        for _ in range(100):
            victim.peer.send(b"x" * 100)
    victim.peer.shutdown(socket.SHUT_WR)
    assert made.server.answer() > 0
    victim.close()


def segs_in(one):
    """tcpi_segs_in of TCP_INFO."""
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 144)
    return struct.unpack_from("=I", info, 140)[0]


def test_nothing_wrong(watch, pair, actor, namespace):
    """Good segments, and closings."""
    made = pair(actor(namespace=namespace), actor(namespace=namespace))
    other = actor(uid=BOB, namespace=namespace)
    port = other.server(answer=100)
    other.drop_served()
    watching = watch("--netns", f"/run/netns/{namespace}")
    made.open()
    send_segments(made, GOOD)
    made.client.connects(count=CLOSED, address="127.0.0.1", port=port, payload=100)
    made.client.close(fd=made.ours["fd"])
    made.server.close(fd=made.theirs["fd"])
    # A stream is in order: what comes last shows that nothing came before.
    made.open()
    made.client.reset(fd=made.ours["fd"])
    watching.wait_events(2)
    made.server.receive_end(fd=made.theirs["fd"])  # what the reset did is told
    events = watching.stopped_events()
    check_totals(watching)
    kinds = {event["error"]["kind"] for event in without_duplicates(events, namespace)}
    assert kinds == {"RESET_SENT", "RESET_RECEIVED"}, events


ABORT = "TCP_ABORT_ON_CLOSE"


@pytest.mark.kernels
@pytest.mark.parametrize("side", ["client", "server"])
def test_abort(watch, pair, side):
    """Who closes with data unread sends a reset, and the other one receives it."""
    made = pair()
    watching = watch("--port", made.port)
    made.open()
    other = "server" if side == "client" else "client"
    getattr(made, other).send(fd=made.told(other)["fd"], count=100)
    getattr(made, side).receive(fd=made.told(side)["fd"], count=1)
    getattr(made, side).close(fd=made.told(side)["fd"])
    events = watching.wait_events(2)
    assert watching.stopped_events() == events and len(events) == 2
    found = {event["error"]["kind"]: event for event in events}
    check_connection(found["RESET_SENT"]["connection"], made.told(side))
    check_connection(found["RESET_RECEIVED"]["connection"], made.told(other))
    name = ABORT if segments.has_enumerator(f"SK_RST_REASON_{ABORT}") else None
    assert found["RESET_SENT"]["error"].get("reason") == name, found
    assert found["RESET_RECEIVED"]["error"]["state"] == "ESTABLISHED", found


@pytest.mark.kernels
def test_closed_port(watch, actor):
    """One event of the segment that is nobody's, one of who receives the reset."""
    client = actor()
    port = client.refused_port()
    watching = watch("--port", port)
    own = watch(uid=ALICE)  # sees no segment of nobody
    fd = client.make()
    with pytest.raises(AssertionError):
        client.use(fd=fd, address="127.0.0.1", port=port)
    events = watching.wait_events(2)
    assert watching.stopped_events() == events and len(events) == 2
    nobody, received = sorted(events, key=lambda event: event["error"]["kind"])
    is_one(nobody, "DROP", "NO_SOCKET", {"length": 0})
    connection = nobody["connection"]
    assert connection["lport"] == port and connection["raddr"] == "127.0.0.1", nobody
    assert not {"id", "uid", "pid", "comm", "role"} & set(connection), nobody
    assert "state" not in nobody["error"], nobody
    is_one(received, "RESET_RECEIVED", None, {})
    assert received["connection"]["pid"] == client.pid and received["connection"]["id"], received
    own.wait_events(1)
    assert own.stopped_events() == [received]


def test_scope(watch, pair):
    """Errors of a user's own sockets only; those of nobody for those who see everything."""
    made = pair()  # the client is of ALICE, the server of BOB
    watching = {"client": watch(uid=ALICE), "server": watch(uid=BOB)}
    nowhere = made.client.refused_port()
    stranger, everything = watch(uid=BOB + 1), watch("--port", f"{made.port},{nowhere}")
    made.open()
    victims = {side: made.victim(side) for side in watching}
    for _ in range(5):
        for victim in victims.values():
            for name in WRONG:
                victim.send(**WRONG[name][2])
        segments.Sender(("127.0.0.1", 9), ("127.0.0.1", nowhere)).send(1, 1, ACK)
    count = 5 * len(WRONG)
    for side, client in watching.items():
        client.wait_events(count)
        events = client.stopped_events()
        assert len(events) == count
        assert {event["connection"]["pid"] for event in events} == {getattr(made, side).pid}
    assert not stranger.stopped_events()
    everything.wait_events(2 * count + 5)
    events = everything.stopped_events()
    assert len(events) == 2 * count + 5
    assert len([event for event in events if "id" not in event["connection"]]) == 5
    for victim in victims.values():
        victim.close()


def test_new_subscribers_miss_nothing(collector, pair):
    """Filters come and go, and from `subscribed` on each error is told to whom it matches."""
    made = pair()
    with wire.Connection(collector.socket) as always:
        always.subscribe(category=["error"], lport=wire.ports(made.port))
        made.open()
        victim = made.victim("server")
        options = WRONG["checksum"][2]
        for turn in range(CHURN):
            with (
                wire.Connection(collector.socket) as comes,
                wire.Connection(collector.socket, uid=BOB) as owner,
            ):
                comes.subscribe(
                    category=["error"], lport=wire.ports((made.port - turn, made.port)),
                    pid=wire.numbers(made.server.pid),
                )
                owner.subscribe(category=["error"], rport=wire.ports(made.ours["lport"]))
                sent = [victim.send(**options)["seq"] for _ in range(3)]
                for one in comes, owner:
                    told = [event.error.seq for event in one.events(3)]
                    assert told == sent
                    rest, totals = one.unsubscribe()
                    assert not rest and totals.matched == totals.delivered == 3, (turn, totals)
        events, totals = always.unsubscribe()
        assert totals.matched == 3 * CHURN
        victim.close()


@pytest.mark.alone  # each walk over them would keep others waiting
def test_more_sockets_than_places(collector, netwatch, watch, actor, namespace):
    """Those that cannot be found by their ends are counted, and status says so."""
    if "NETWATCH_GUEST" in os.environ:
        pytest.skip("NOT TRIED: 65536 sockets do not fit into a guest")
    assert not wire.status(collector.socket).no_place
    client = watch("--netns", f"/run/netns/{namespace}")
    servers = [actor(namespace=namespace) for _ in range(8)]
    for number, server in enumerate(servers):
        server.tell("listen_many", address=f"127.{1 + number}.0.0", port=free_port(),
                    count=PLACES // 8 + 100)
    for server in servers:
        server.answer()
    assert wire.status(collector.socket).no_place >= 800
    for server in servers:
        server.end()
    client.stop()
    shown = netwatch("status")
    assert shown.wait() == 0 and re.search(r"^no place +\d+ times ", shown.out.text(), re.M)


@pytest.mark.kernels
def test_attached_while_wanted(collector, netwatch, watch):
    """Programs of errors only for errors."""
    wait_until(lambda: not collector.links(), "nobody is subscribed")
    netwatch("subscribe", "--events", "conn", "-v").wait_subscribed()
    before = len(collector.links())
    watching = watch()
    assert len(collector.links()) == before + 6  # three hooks and their twins
    watching.stop()
    wait_until(lambda: len(collector.links()) == before, "they are detached")


def test_hook_that_is_missing(start_collector, netwatch):
    """Without the hook on drops there is no such category; without resets there is."""
    without = start_collector(environment={"NETWATCH_HIDE_HOOKS": "tp_btf/kfree_skb"})
    assert netwatch("subscribe", "--events", "error", socket=without.socket).wait() == 78
