# SPDX-License-Identifier: GPL-2.0-only
"""Who sees what: a user's own, a group's and root's all, a stranger's nothing."""

import grp
import os
import subprocess
import time

import pytest

import wire
from harness import ALICE, BOB, CONN, PYTHON, SERVICE_USER
from test_conn import stages

# Everyday: as many cycles as fit in some seconds; else so many per user.
CYCLES = int(os.environ.get("NETWATCH_CYCLES", "0"))
CYCLES_SECONDS = 8
NOBODY = 65534


def gid_of(name):
    return grp.getgrnam(name).gr_gid


def traffic(actor, uid, count=20):
    """Connects of a user to a server of the same; the port."""
    server = actor(uid=uid)
    port = server.server()
    server.drop_served()
    return actor(uid=uid), port, count


@pytest.mark.kernels
def test_other_user_sees_none(subscribe, actor):
    client, port, count = traffic(actor, ALICE)
    others = {
        "port": subscribe("-a", "--port", port, uid=BOB),
        "all": subscribe("-a", uid=BOB),
        "pid": subscribe("-a", "--pid", client.pid, uid=BOB),
        "comm": subscribe("-a", "--comm", client.comm.decode(), uid=BOB),
        "not": subscribe("-a", "--not", "--port", 1, uid=BOB),
    }
    own = subscribe("-a", "--dport", port, uid=ALICE)
    root = subscribe("-a", "--dport", port, uid=0)
    client.connects(count=count, address="127.0.0.1", port=port)
    for watch in own, root:
        watch.wait_events(3 * count)
        assert len(watch.stopped_events()) == 3 * count
    for name, watch in others.items():
        assert watch.stopped_events() == [], name


@pytest.mark.kernels
def test_list_shows_only_own(netwatch, actor):
    server = actor(uid=ALICE)
    port = server.server()
    held = actor(uid=ALICE).connect(address="127.0.0.1", port=port)
    for uid, expected in (ALICE, 1), (0, 1), (BOB, 0):
        listed = netwatch("list", "--dport", port, "-o", "json", uid=uid)
        assert listed.wait() == 0
        assert len(listed.events()) == expected, uid
        if expected:
            assert int(listed.events()[0]["connection"]["id"]) == held["id"]


@pytest.mark.parametrize("how", ["primary", "supplementary"])
def test_group_sees_all(start_collector, subscribe, actor, how):
    """The group that --group names, and no other."""
    collector = start_collector("--group", "games")
    client, port, count = traffic(actor, ALICE)

    def member(name):
        gid = gid_of(name)
        return {"gid": gid} if how == "primary" else {"groups": [gid]}

    sees = subscribe("-a", "--dport", port, uid=BOB, socket=collector.socket, **member("games"))
    blind = subscribe(
        "-a", "--dport", port, uid=BOB, socket=collector.socket, **member(SERVICE_USER)
    )
    client.connects(count=count, address="127.0.0.1", port=port)
    sees.wait_events(3 * count)
    assert len(sees.stopped_events()) == 3 * count
    assert blind.stopped_events() == []


def test_default_group(netwatch, subscribe, actor):
    client, port, count = traffic(actor, ALICE)
    gid = gid_of(SERVICE_USER)
    watch = subscribe("-a", "--dport", port, "--uid", ALICE, uid=BOB, groups=[gid])
    own = subscribe("-a", "--dport", port, "--uid", BOB, uid=BOB, groups=[gid])
    client.connects(count=count, address="127.0.0.1", port=port)
    watch.wait_events(3 * count)
    assert len(watch.stopped_events()) == 3 * count
    assert own.stopped_events() == []


def test_group_that_does_not_exist(start_collector, subscribe, actor):
    collector = start_collector("--group", "nw-test-no-such-group")
    collector.allow("nw-test-no-such-group")
    client, port, count = traffic(actor, ALICE)
    watch = subscribe(
        "-a", "--dport", port, uid=BOB, groups=[gid_of(SERVICE_USER)], socket=collector.socket
    )
    client.connects(count=count, address="127.0.0.1", port=port)
    assert watch.stopped_events() == []


@pytest.mark.parametrize("command", ["subscribe", "list"])
def test_uid_beyond_scope(netwatch, command):
    for uid in ALICE, 0:
        refused = netwatch(command, "--uid", uid, uid=BOB)
        assert refused.wait() == 77, refused
        assert refused.err.text().strip()
        assert b"".join(refused.out.lines) == b""


def test_own_uid_may_be_named(subscribe, actor):
    client, port, count = traffic(actor, ALICE)
    watch = subscribe("-a", "--dport", port, "-u", ALICE, uid=ALICE)
    client.connects(count=count, address="127.0.0.1", port=port)
    watch.wait_events(3 * count)
    assert len(watch.stopped_events()) == 3 * count


@pytest.mark.kernels
def test_nobody_sees_nothing(netwatch, collector, actor):
    client, port, count = traffic(actor, NOBODY)
    watch = netwatch(*CONN, "-v", "-a", "--dport", port, "-o", "json", uid=NOBODY)
    root = netwatch(*CONN, "-v", "-a", "--dport", port, "-o", "json").wait_subscribed()
    client.connects(count=count, address="127.0.0.1", port=port)
    root.wait_events(3 * count)
    watch.stop()
    assert b"".join(watch.out.lines) == b""


@pytest.mark.kernels
def test_worker_that_became_another_user(subscribe, actor):
    """Root listens, a worker of ALICE accepts: what comes before accept is root's, from
    accept on it is ALICE's, and never BOB's."""
    client, server = actor(uid=BOB), actor(uid=0)
    listener = server.listen()
    port = listener["port"]
    options = ["-a", "--sport", port, "--role", "server", "--no-existing"]
    alice, bob = subscribe(*options, uid=ALICE), subscribe(*options, uid=BOB)
    root = subscribe(*options, uid=0)
    pid, = server.serve(fd=listener["fd"], mode="fork", uid=ALICE)
    client.connects(count=50, address="127.0.0.1", port=port, payload=100)
    root.wait_events(100)
    seen = root.stopped_events()
    assert sorted(stages(seen)) == ["CLOSE"] * 50 + ["ESTABLISHED"] * 50
    for event in seen:
        if event["connection"].get("pid") == pid:
            assert event["connection"]["uid"] == ALICE, event
        if event["conn"]["event"] == "CLOSE":
            assert event["connection"]["pid"] == pid, event
    mine = alice.stopped_events()
    assert bob.stopped_events() == []
    assert {event["connection"]["uid"] for event in mine} == {ALICE}
    assert stages(mine).count("CLOSE") == 50


def test_not_accepted_is_the_listeners(subscribe, actor):
    """Until accept, root's."""
    client, server = actor(uid=BOB), actor(uid=0)
    port = server.listen()["port"]
    options = ["-a", "--sport", port, "--role", "server", "--no-existing"]
    alice, bob = subscribe(*options, uid=ALICE), subscribe(*options, uid=BOB)
    root = subscribe(*options, uid=0)
    client.connect(address="127.0.0.1", port=port)
    root.wait_events(1)
    assert {event["connection"]["uid"] for event in root.stopped_events()} == {0}
    assert alice.stopped_events() == []
    assert bob.stopped_events() == []


def test_socket_that_is_given_away(subscribe, actor):
    """A connection of ALICE becomes BOB's while it is open: its end is his alone."""
    server = actor(uid=ALICE)
    port = server.listen()["port"]
    alice, bob = (subscribe("-a", "--dport", port, uid=uid) for uid in (ALICE, BOB))
    root = subscribe("-a", "--dport", port, uid=0)
    giver = actor(uid=0)
    told = giver.open_as(address="127.0.0.1", port=port, uid=ALICE)
    root.wait_events(2)
    giver.give(fd=told["fd"], uid=BOB)
    giver.reset(fd=told["fd"])
    root.wait_events(3)
    assert [(event["conn"]["event"], event["connection"]["uid"]) for event in
            root.stopped_events()] == [("OPEN", ALICE), ("ESTABLISHED", ALICE), ("CLOSE", BOB)]
    assert stages(alice.stopped_events()) == ["OPEN", "ESTABLISHED"]
    assert stages(bob.stopped_events()) == ["CLOSE"]


def test_status_shows_only_own(collector, subscribe, netwatch):
    watch = subscribe("--dport", 1, uid=ALICE)
    other = subscribe("--dport", 2, uid=BOB)
    shown = [
        (entry.uid, entry.pid) for entry in wire.status(collector.socket).subscription
    ]
    assert sorted(shown) == sorted([(ALICE, watch.pid), (BOB, other.pid)])
    status = netwatch("status", uid=ALICE)
    assert status.wait() == 0
    assert str(other.pid) not in b"".join(status.out.lines).decode().split()


def start_cycles(place, socket, uid):
    """cycles.py as a user."""
    budget = ["--seconds", str(CYCLES_SECONDS), "--least", "10"]
    budget = ["--count", str(CYCLES)] if CYCLES else budget
    return subprocess.Popen(
        [PYTHON, place.path / "cycles.py", socket, *budget],
        user=uid, group=uid, extra_groups=[], env=place.environment, cwd="/",
        stdout=subprocess.PIPE, text=True,
    )


def test_cycles_leak_nothing(place, collector, actor):
    """Two users subscribe and unsubscribe as fast as they can, while both make traffic; a
    slot's bit is used again and again, and shows nobody the other's events."""
    makers = [traffic(actor, uid) for uid in (ALICE, BOB)]
    cycles = [start_cycles(place, collector.socket, uid) for uid in (ALICE, BOB)]
    try:
        while any(process.poll() is None for process in cycles):
            for client, port, count in makers:
                client.tell("connects", count=count, address="127.0.0.1", port=port)
            for client, _, _ in makers:
                client.answer()
        results = [process.communicate()[0].split() for process in cycles]
    finally:
        for process in cycles:
            process.kill()
            process.wait()
    for process, (done, own, foreign) in zip(cycles, results):
        assert process.returncode == 0
        print(f"{done} cycles, {own} own events, {foreign} foreign")
        assert int(foreign) == 0
        assert int(done) >= max(CYCLES, 10) and int(own) > 0


def test_new_subscription_misses_nothing(collector, actor):
    """From `subscribed` on, every connect is there: 200 times at once."""
    client, port, _ = traffic(actor, ALICE)
    began = time.monotonic()
    for _ in range(200):
        with wire.Connection(collector.socket) as watch:
            watch.subscribe(rport=wire.ports(port), closed=False)
            client.connects(count=1, address="127.0.0.1", port=port)
            events, totals = watch.unsubscribe()
            assert [event.conn.event for event in events] == [2, 3], events
            assert totals.matched == totals.delivered == 2
    print(f"{200 / (time.monotonic() - began):.0f} per second")
