# SPDX-License-Identifier: GPL-2.0-only
"""Each filter option by itself, and the limits of filters and of their number."""

from collections import Counter

import pytest

import netwatch_pb2 as pb
import wire
from harness import ALICE, BOB, CONN, wait_until
from test_conn import stages


@pytest.fixture
def two_servers(actor):
    """A client and the ports of two servers of one process."""
    server = actor(comm=b"flt-server")
    ports = [server.server(), server.server(address="::1")]
    server.drop_served()
    return actor(comm=b"flt-client"), ports, server


OPTIONS = {
    "dport": (["--dport", "{p}"], "v4 client"),
    "rport range": (["--rport", "1,{p}-{p}"], "v4 client"),
    "sport": (["--sport", "{p}"], "v4 server"),
    "lport twice": (["--lport", "{p}", "--lport", "{q}"], "server"),
    "not port": (["--not", "--port", "{p}", "--port", "{q}"], "v6"),
    "raddr": (["--raddr", "127.0.0.0/8", "--port", "{p},{q}"], "v4"),
    "laddr": (["--laddr", "::1", "--port", "{p},{q}"], "v6"),
    "addr": (["--addr", "::/0", "--port", "{p},{q}"], "v6"),
    "not addr": (["--not", "--addr", "::/0", "--port", "{p},{q}"], "v4"),
    "-4": (["-4", "--port", "{p},{q}"], "v4"),
    "-6": (["-6", "--port", "{p},{q}"], "v6"),
    "both families": (["-4", "-6", "--port", "{p},{q}"], "all"),
    "pid": (["--pid", "{client}"], "client"),
    "not pid": (["--not", "--pid", "{client}", "--port", "{p},{q}"], "server"),
    "comm": (["--comm", "flt-server", "--port", "{p},{q}"], "server"),
    "role": (["--role", "client", "--port", "{p},{q}"], "client"),
    "uid": (["--uid", str(ALICE), "--port", "{p},{q}"], "all"),
    "other uid": (["--uid", str(BOB), "--port", "{p},{q}"], "nothing"),
    "not uid": (["--not", "--uid", str(ALICE), "--port", "{p},{q}"], "nothing"),
    "and": (["--dport", "{p}", "--raddr", "::1"], "nothing"),
}


def test_each_option(two_servers, subscribe):
    """20 options at once, each with what it must keep of 4 kinds of events."""
    client, (v4, v6), server = two_servers
    place = {"p": v4, "q": v6, "client": client.pid, "server": server.pid}
    watches = {
        name: subscribe(
            "-a", "--no-existing", *(word.format(**place) for word in words), uid=0
        )
        for name, (words, _) in OPTIONS.items()
    }
    control = subscribe("-a", "--no-existing", "--port", f"{v4},{v6}", uid=0)
    for address, port in ("127.0.0.1", v4), ("::1", v6):
        client.connects(count=3, address=address, port=port)
    control.wait_events(30)
    events = [(kind_of(event), event) for event in control.stopped_events()]
    assert len(events) == 30
    for name, watch in watches.items():
        wanted = OPTIONS[name][1].replace("all", "").split()
        expected = sorted(
            identity(event) for kind, event in events if set(wanted) <= kind
        )
        assert sorted(map(identity, watch.stopped_events())) == expected, name


def kind_of(event):
    connection = event["connection"]
    family = "v6" if ":" in connection["laddr"] else "v4"
    return {family, connection["role"].lower()}


def identity(event):
    return event["connection"]["id"], event["conn"]["event"]


def test_filter_with_many_entries(collector, actor, two_servers):
    """As many ports and prefixes as one filter may have; one more is refused."""
    client, (port, _), _ = two_servers
    most = [port, *range(1, 64)]
    with wire.Connection(collector.socket) as watch:
        watch.subscribe(
            rport=wire.ports(*most), raddr=wire.prefixes(*(f"127.0.0.{n}" for n in range(1, 17)))
        )
        client.connects(count=2, address="127.0.0.1", port=port)
        assert len(watch.events(6)) == 6
    for criteria in (
        {"rport": wire.ports(*most, 64)},
        {"raddr": wire.prefixes(*(f"127.0.0.{n}" for n in range(1, 18)))},
        {"uid": wire.numbers(*range(65))},
    ):
        with wire.Connection(collector.socket) as watch:
            watch.send(
                pb.Request(
                    subscribe=pb.Subscribe(category=["conn"], filter=pb.Filter(**criteria))
                )
            )
            error = watch.expect("error")
            assert error.code == pb.Error.LIMIT, (criteria, error)
            assert error.message
            watch.expect_closed()


def fits(collector, port):
    """A freed slot may need a moment until its bit can be used again."""
    with wire.Connection(collector.socket) as watch:
        watch.send(
            pb.Request(
                subscribe=pb.Subscribe(
                    category=["conn"], filter=pb.Filter(rport=wire.ports(port))
                )
            )
        )
        reply = watch.reply()
    assert reply.HasField("subscribed") or reply.error.code == pb.Error.LIMIT, reply
    return reply.HasField("subscribed")


def test_slots_have_a_limit(collector):
    """64 distinct filters in all, 16 of one user; equal ones share."""
    watches = [wire.Connection(collector.socket) for _ in range(66)]
    try:
        for index, watch in enumerate(watches[:64]):
            watch.subscribe(rport=wire.ports(index + 1))
        # The last two: one too many, and one that shares.
        watches[64].send(
            pb.Request(
                subscribe=pb.Subscribe(
                    category=["conn"], filter=pb.Filter(rport=wire.ports(1000))
                )
            )
        )
        assert watches[64].expect("error").code == pb.Error.LIMIT
        watches[65].subscribe(rport=wire.ports(1))
        watches[63].unsubscribe()
        wait_until(lambda: fits(collector, 1000), "there is room again")
    finally:
        for watch in watches:
            watch.close()


def test_slots_of_one_user_have_a_limit(subscribe, netwatch):
    watches = [subscribe("--dport", port, uid=ALICE) for port in range(1, 17)]
    refused = netwatch(*CONN, "--dport", 17, uid=ALICE)
    assert refused.wait() == 1
    assert "16" in refused.err.text() or "limit" in refused.err.text().lower(), refused
    subscribe("--dport", 17, uid=BOB)
    subscribe("--dport", 1, uid=ALICE)
    assert all(watch.process.poll() is None for watch in watches)


def test_comm_that_is_hostile(actor, subscribe, two_servers):
    """A filter by comm takes the name as it is shown, too."""
    _, (port, _), _ = two_servers
    client = actor(comm=b'a b"c')
    watch = subscribe("-a", "--comm", 'a b"c', "--dport", port, uid=ALICE)
    client.connects(count=2, address="127.0.0.1", port=port)
    watch.wait_events(6)
    assert stages(watch.stopped_events()).count("CLOSE") == 2


@pytest.fixture
def listening(actor):
    """A port where connections are neither accepted nor ended, and who connects to it."""
    return actor(), actor().listen()["port"]


def test_later_filter_finds_open_connections(collector, listening):
    """What was decided about a connection under other filters holds no longer."""
    client, port = listening
    with wire.Connection(collector.socket) as first, wire.Connection(collector.socket) as later:
        first.subscribe(lport=wire.ports(port), role=[1])
        told = client.hold(count=20, address="127.0.0.1", port=port)
        later.subscribe(rport=wire.ports(port))
        for one in told:
            client.reset(fd=one["fd"])
        assert {event.connection.id for event in later.events(20)} == {one["id"] for one in told}
        assert later.unsubscribe()[1].matched == 20
        assert first.unsubscribe()[1].matched == 0


def test_used_slot_is_no_longer_meant(collector, listening):
    """A slot that connections once matched gets another filter, and nothing of theirs."""
    client, port = listening
    with wire.Connection(collector.socket) as stays:
        stays.subscribe(rport=wire.ports(port))
        for _ in range(10):
            with wire.Connection(collector.socket) as before:
                before.subscribe(rport=wire.ports(port), family=[4])
                told = client.hold(count=20, address="127.0.0.1", port=port)
                before.unsubscribe()
            with wire.Connection(collector.socket) as watch:
                watch.subscribe(rport=wire.ports(port), family=[6])
                for one in told:
                    client.reset(fd=one["fd"])
                assert watch.unsubscribe()[1].matched == 0
        assert len(stays.events(10 * 60)) == stays.unsubscribe()[1].matched


@pytest.mark.kernels
def test_existing_and_parked_meet(collector, actor):
    """A server's connections that no process has used yet, so that whoever watches has not been
    told of them: to those who begin now they are EXISTING, never told again, and never left out."""
    client, server = actor(), actor()
    kinds = Counter()
    for _ in range(10):
        port = server.server()
        ends = {"lport": wire.ports(port), "role": [pb.SERVER]}
        with wire.Connection(collector.socket) as older, wire.Connection(collector.socket) as watch:
            older.subscribe(**ends)
            client.tell("hold", count=100, address="127.0.0.1", port=port)
            events = watch.subscribe(existing=True, family=[4], **ends)
            told = client.answer()
            assert len(older.events(len(told))) == len(told)  # now none is parked
            events += watch.unsubscribe()[0]
        began = [event for event in events if event.connection.HasField("rport")]
        assert (sorted(event.connection.rport for event in began)
                == sorted(one["lport"] for one in told))
        kinds.update(event.conn.event for event in began)
        for one in told:
            client.close(fd=one["fd"])
    assert kinds[pb.Conn.EXISTING] and set(kinds) <= {pb.Conn.EXISTING, pb.Conn.ESTABLISHED}, kinds


def test_existing_and_live_meet(collector, actor):
    """Connections that open while somebody subscribes: each is EXISTING or OPEN, never both
    and never neither."""
    client, server = actor(), actor()
    kinds = Counter()
    for _ in range(20):
        listener = server.listen()
        port = listener["port"]
        client.tell("hold", count=400, address="127.0.0.1", port=port)
        with wire.Connection(collector.socket) as watch:
            events = watch.subscribe(existing=True, rport=wire.ports(port))
            told = client.answer()
            events += watch.unsubscribe()[0]
        began = [
            event for event in events if event.conn.event in (pb.Conn.EXISTING, pb.Conn.OPEN)
        ]
        assert sorted(event.connection.id for event in began) == sorted(one["id"] for one in told)
        kinds.update(event.conn.event for event in began)
        for one in told:
            client.reset(fd=one["fd"])
        server.close(fd=listener["fd"])
    print(kinds)
