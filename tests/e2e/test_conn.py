# SPDX-License-Identifier: GPL-2.0-only
"""The category conn: each connection exactly once per stage, with the right owner, addresses
and totals, held against the traffic script's word and `ss`."""

import re
import time
from collections import Counter
from datetime import datetime

import pytest

import netns
from harness import ALICE, scaled
from packets import sent_again

CONNECTS = scaled(1000)
HELD = scaled(50)
CLIENT_STAGES = ["OPEN", "ESTABLISHED", "CLOSE"]
TUPLE = ["laddr", "lport", "raddr", "rport"]


def by_id(events):
    sorted_out = {}
    for event in events:
        sorted_out.setdefault(int(event["connection"]["id"]), []).append(event)
    return sorted_out


def stages(events):
    return [event["conn"]["event"] for event in events]


def check_connection(event, told, actor, role, older=False):
    """older: than the collector, which cannot know who connected to whom."""
    connection = event["connection"]
    for field in [*TUPLE, "pid", "uid", "netns"]:
        assert connection.get(field) == told[field], (field, event, told)
    assert int(connection["id"]) == told["id"]
    assert connection["comm"] == actor.comm.decode(), event
    assert connection["role"] == role if not older else "role" not in connection, event


def ss_cookies(*options, namespace=None):
    """{cookie: (local, remote)} of ss."""
    lines = netns.run(namespace, "ss", "-Htaneo", *options).splitlines()
    found = {}
    for line in lines:
        words = line.split()
        cookie = re.search(r"\bsk:([0-9a-f]+)", line)
        if cookie:
            found[int(cookie[1], 16)] = (words[3], words[4])
    return found


def seconds(stamp):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp), stamp
    return datetime.fromisoformat(stamp[:26] + "+00:00").timestamp()


@pytest.mark.kernels
def test_each_connect_once_per_stage(subscribe, actor):
    """1000 connects of a user, seen by that user, at the client's side."""
    client, server = actor(comm=b"the-client"), actor(comm=b"the-server")
    port = server.server(answer=7)
    server.drop_served()
    watch = subscribe("-a", "--dport", port, uid=ALICE)
    before = sent_again()
    begin = time.time()
    told = client.connects(count=CONNECTS, address="127.0.0.1", port=port, payload=10)
    watch.wait_events(3 * CONNECTS)
    end = time.time()
    events = watch.stopped_events()

    found, again = by_id(events), 0
    assert len(events) == 3 * CONNECTS
    assert set(found) == {one["id"] for one in told}
    for one in told:
        mine = found[one["id"]]
        assert stages(mine) == CLIENT_STAGES, mine
        for event in mine:
            check_connection(event, one, client, "CLIENT")
            assert begin <= seconds(event["time"]) <= end
        assert [event["conn"]["state"] for event in mine] == ["SYN_SENT", "ESTABLISHED", "CLOSE"]
        times = [event["time"] for event in mine]
        assert times == sorted(times)
        wall_us = 1e6 * (end - begin)
        handshake = mine[1]["conn"]["handshake_us"]
        assert handshake < wall_us
        closed = mine[2]["conn"]
        assert handshake <= closed["duration_us"] < wall_us
        # SYN and FIN count for one each.
        assert 10 <= closed["bytes_acked"] <= 12, closed
        assert 7 <= closed["bytes_received"] <= 8, closed
        assert closed["segs_in"] >= 3 and closed["segs_out"] >= 4, closed
        again += closed.get("total_retransmits", 0)
    # None, on a machine that is not busy.
    assert again <= sent_again() - before
    assert any(event["conn"].get("handshake_us") for event in events)


@pytest.mark.kernels
@pytest.mark.parametrize(
    "mode, workers, count",
    [("thread", 1, scaled(200)), ("thread", 4, scaled(400)), ("fork", 4, scaled(400))],
    ids=["simple", "threads", "prefork"],
)
def test_server_side(subscribe, actor, mode, workers, count):
    """The accepting process: in a pre-forking server, the child, not who listens."""
    client, server = actor(), actor(comm=b"srv-" + mode.encode())
    listener = server.listen()
    port = listener["port"]
    pids = set(server.serve(fd=listener["fd"], mode=mode, workers=workers, answer=33))
    watch = subscribe("-a", "--sport", port, "--role", "server", "--no-existing", uid=ALICE)
    client.connects(count=count, address="127.0.0.1", port=port, payload=1000)
    told = {one["id"]: one for one in server.served(count=count)}
    watch.wait_events(2 * count)
    events = watch.stopped_events()

    found = by_id(events)
    assert set(found) == set(told)
    assert {one["pid"] for one in told.values()} <= pids
    for cookie, mine in found.items():
        assert stages(mine) == ["ESTABLISHED", "CLOSE"], mine
        for event in mine:
            check_connection(event, told[cookie], server, "SERVER")
        closed = mine[1]["conn"]
        assert 1000 <= closed["bytes_received"] <= 1001, closed
        assert 33 <= closed["bytes_acked"] <= 35, closed


@pytest.mark.kernels
@pytest.mark.parametrize(
    "listen, address, mapped",
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("::1", "::1", False),
        ("::", "127.0.0.1", False),
        ("::", "127.0.0.1", True),
    ],
    ids=["ipv4", "ipv6", "dual-server", "v4-mapped"],
)
def test_families(subscribe, actor, listen, address, mapped):
    client, server = actor(), actor()
    port = server.server(address=listen, dual=listen == "::")
    family = "-6" if address == "::1" else "-4"
    other = "-4" if address == "::1" else "-6"
    watch = subscribe("-a", "--port", port, "--no-existing", family, uid=ALICE)
    none = subscribe("-a", "--port", port, "--no-existing", other, uid=ALICE)
    told = {
        one["id"]: one
        for one in client.connects(count=20, address=address, port=port, mapped=mapped)
    }
    told_server = {one["id"]: one for one in server.served(count=20)}
    watch.wait_events(20 * 5)
    found = by_id(watch.stopped_events())
    ours = set(told) | set(told_server)
    assert set(found) == ours, {cookie: found.get(cookie) for cookie in set(found) ^ ours}
    for cookie, one in told.items():
        assert stages(found[cookie]) == CLIENT_STAGES
        for event in found[cookie]:
            check_connection(event, one, client, "CLIENT")
    for cookie, one in told_server.items():
        assert stages(found[cookie]) == ["ESTABLISHED", "CLOSE"]
        for event in found[cookie]:
            check_connection(event, one, server, "SERVER")
    assert none.stopped_events() == []


@pytest.mark.kernels
def test_ids_are_those_of_ss(subscribe, actor):
    """Connections held open: sk: of ss, with the same addresses, on both sides."""
    client, server = actor(), actor()
    listener = server.listen()
    port = listener["port"]
    watch = subscribe("--port", port, "--no-existing", uid=ALICE)
    for _ in range(HELD):
        client.connect(address="127.0.0.1", port=port)
        server.accept(fd=listener["fd"])
    watch.wait_events(3 * HELD)
    cookies = ss_cookies("state", "established", f"( sport = :{port} or dport = :{port} )")
    events = watch.stopped_events()
    assert len(cookies) == 2 * HELD
    assert set(by_id(events)) == set(cookies)


@pytest.mark.kernels
def test_failed(subscribe, actor):
    client = actor()
    port = actor().refused_port()
    watch = subscribe("--dport", port, uid=ALICE)
    client.failures(count=HELD, address="127.0.0.1", port=port)
    watch.wait_events(2 * HELD)
    events = watch.stopped_events()
    assert len(events) == 2 * HELD
    for mine in by_id(events).values():
        assert stages(mine) == ["OPEN", "FAILED"]
        assert mine[1]["conn"]["error"] == "ECONNREFUSED"
        assert mine[1]["conn"]["state"] == "CLOSE"
        for event in mine:
            connection = event["connection"]
            assert (connection["pid"], connection["uid"]) == (client.pid, ALICE)
            assert (connection["raddr"], connection["rport"]) == ("127.0.0.1", port)
            assert connection["role"] == "CLIENT"


def test_close_only_when_asked(subscribe, actor):
    client, server = actor(), actor()
    port = server.server()
    server.drop_served()
    watch = subscribe("--dport", port, uid=ALICE)
    watch_all = subscribe("-a", "--dport", port, uid=ALICE)
    client.connects(count=20, address="127.0.0.1", port=port)
    watch_all.wait_events(60)
    assert Counter(stages(watch_all.stopped_events())) == dict.fromkeys(CLIENT_STAGES, 20)
    assert Counter(stages(watch.stopped_events())) == {"OPEN": 20, "ESTABLISHED": 20}


def test_older_than_the_collector(start_collector, netwatch, subscribe, actor):
    """Sockets of before: EXISTING with their owners, in list too, then their CLOSE."""
    client, server = actor(comm=b"old-client"), actor(comm=b"old-server")
    listener = server.listen()
    port = listener["port"]
    ends = {}
    for _ in range(20):
        ends[client.connect(address="127.0.0.1", port=port)["fd"]] = None
    told = [server.accept(fd=listener["fd"]) for _ in range(20)]
    collector = start_collector()

    watch = subscribe("-a", "--port", port, uid=ALICE, socket=collector.socket)
    existing = watch.wait_events(41)
    assert stages(existing) == ["EXISTING"] * 41
    servers = {
        int(event["connection"]["id"]): event
        for event in existing
        if event["connection"]["pid"] == server.pid and event["conn"]["state"] == "ESTABLISHED"
    }
    assert set(servers) == {one["id"] for one in told}
    for one in told:
        check_connection(servers[one["id"]], one, server, "SERVER", older=True)
    clients = [event for event in existing if event["connection"]["pid"] == client.pid]
    assert len(clients) == 20
    assert {event["connection"]["comm"] for event in clients} == {"old-client"}
    listening = [event for event in existing if event["conn"]["state"] == "LISTEN"]
    assert [event["connection"]["lport"] for event in listening] == [port]
    assert listening[0]["connection"]["role"] == "SERVER"
    assert "rport" not in listening[0]["connection"]

    listed = netwatch("list", "--port", port, "-o", "json", uid=ALICE, socket=collector.socket)
    assert listed.wait() == 0
    assert {event["connection"]["id"] for event in listed.events()} == {
        event["connection"]["id"] for event in existing
    }

    for fd in ends:
        client.close(fd=fd)
    for one in told:
        server.close(fd=one["fd"])
    watch.wait_events(81)
    later = watch.stopped_events()[41:]
    assert stages(later) == ["CLOSE"] * 40
    closed = {int(event["connection"]["id"]): event for event in later}
    for one in told:
        check_connection(closed[one["id"]], one, server, "SERVER", older=True)
        assert closed[one["id"]]["conn"]["closed_by"] == "REMOTE"


@pytest.mark.kernels
def test_existing_is_not_counted(subscribe, actor):
    client, server = actor(), actor()
    port = server.server()
    client.connect(address="127.0.0.1", port=port)
    watch = subscribe("--stats", "--dport", port, uid=ALICE)
    events = watch.stopped_events()
    assert stages(events) == ["EXISTING"]
    assert watch.totals()["matched"] == 0
    assert watch.totals()["delivered"] == 0


@pytest.mark.kernels
def test_listening_is_told(subscribe, actor):
    """A server that begins to listen, without the sockets' walk."""
    server = actor()
    watch = subscribe("--role", "server", "--pid", server.pid, uid=ALICE)
    port = server.listen()["port"]
    watch.wait_events(1)
    events = watch.stopped_events()
    assert stages(events) == ["OPEN"]
    assert events[0]["conn"]["state"] == "LISTEN"
    connection = events[0]["connection"]
    assert (connection["lport"], connection["pid"]) == (port, server.pid)
    assert connection["role"] == "SERVER"
    assert "raddr" not in connection and "rport" not in connection


def test_accepted_and_never_used(subscribe, actor):
    """A connection that nobody accepts is told all the same, without a process."""
    client, server = actor(), actor()
    port = server.listen()["port"]
    watch = subscribe("--sport", port, "--role", "server", "--no-existing", uid=ALICE)
    client.connect(address="127.0.0.1", port=port)
    watch.wait_events(1)
    events = watch.stopped_events()
    assert stages(events) == ["ESTABLISHED"]
    assert "pid" not in events[0]["connection"]
    assert events[0]["connection"]["uid"] == ALICE


@pytest.mark.kernels
def test_server_that_only_sends(subscribe, actor):
    """Nothing is received, and who holds the connection is found all the same."""
    client, server = actor(), actor(comm=b"banner")
    listener = server.listen()
    watch = subscribe("--sport", listener["port"], "--role", "server", "--no-existing", uid=ALICE)
    client.connect(address="127.0.0.1", port=listener["port"])
    told = server.accept(fd=listener["fd"])
    server.send(fd=told["fd"], count=10)
    watch.wait_events(1)
    events = watch.stopped_events()
    assert stages(events) == ["ESTABLISHED"]
    check_connection(events[0], told, server, "SERVER")
