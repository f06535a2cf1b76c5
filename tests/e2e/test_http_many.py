# SPDX-License-Identifier: GPL-2.0-only
"""Category http with two users who ask each other on loopback, again and again: everything comes
to the end that it belongs to, and what is lost takes nothing else with it. NETWATCH_FULL=1: 100,000
exchanges."""

import subprocess
from collections import Counter

import pytest

from exchange import status_of
from harness import ALICE, BOB, CAROL, DEADLINE_S, FULL, PYTHON, free_port, scaled, sum_lost, wait_until
from talk import HTTP, finish

EXCHANGES = 50_000 if FULL else scaled(1000)  # of either user
FLOOD, BURSTS, BURST = scaled(1500), 5, 100  # a burst is more than a ring of 64K holds


@pytest.fixture
def run(place):
    """exchange.py as a user."""
    running = []

    def start(uid, *args):
        process = subprocess.Popen(
            [PYTHON, place.path / "exchange.py", *map(str, args)], user=uid, group=uid,
            extra_groups=[], env=place.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        running.append(process)
        return process

    yield start
    for process in running:
        process.stdin.close()
        process.wait(DEADLINE_S)
        process.stdout.close()


def serve(run, uid):
    """The port of a server of that user."""
    port = free_port()
    assert run(uid, "serve", port).stdout.readline() == "listening\n"
    return port


def asked(process):
    """{number: port of the client}"""
    said = process.stdout.read()
    assert process.wait(DEADLINE_S) == 0
    rows = [map(int, line.split()) for line in said.splitlines()]
    return {number: port for port, first, count in rows for number in range(first, first + count)}


def row(event):
    """What an event says of an exchange: all that another one has otherwise."""
    connection, told = event["connection"], event["http"]
    client = connection["lport" if connection["role"] == "CLIENT" else "rport"]
    return connection["role"], connection["uid"], client, told["target"], told.get("status", 0)


def rows(name, ports, uids):
    """What is to be told of what a client asked, at the ends of these users: {role: uid}"""
    return Counter(
        (role, uid, port, f"/{name}/{number}/{status_of(number)}", status)
        for number, port in ports.items()
        for role, uid in uids.items()
        for status in (0, status_of(number))
    )


def test_attribution(start_collector, netwatch, run):
    """Both ends of a loopback connection are sockets of this host, and of different users."""
    collector = start_collector("--ring", "64M", "--queue", "256M")
    servers = {uid: serve(run, uid) for uid in (ALICE, BOB)}
    ports = ",".join(map(str, servers.values()))
    watch = {uid: netwatch(*HTTP, "--port", ports, uid=uid, socket=collector.socket)
             .wait_subscribed() for uid in (ALICE, BOB, CAROL)}
    alice = run(ALICE, "ask", servers[BOB], "alice", EXCHANGES, 1, 1)
    bob = run(BOB, "ask", servers[ALICE], "bob", EXCHANGES, 2, 1)
    by_alice, by_bob = asked(alice), asked(bob)
    assert len(by_alice) == len(by_bob) == EXCHANGES
    for uid, role, other in (ALICE, "CLIENT", "SERVER"), (BOB, "SERVER", "CLIENT"):
        watch[uid].wait_events(4 * EXCHANGES)
        told = Counter(map(row, finish(watch[uid])))
        assert told == rows("alice", by_alice, {role: uid}) + rows("bob", by_bob, {other: uid})
    assert finish(watch[CAROL]) == []


@pytest.mark.parametrize("window", [1, 4])
def test_losses(start_collector, netwatch, run, window):
    """A ring that is too small: the account adds up, and no response has another's request."""
    collector = start_collector("--ring", "64K")
    port = serve(run, BOB)
    watch = netwatch(*HTTP, "--dport", port, uid=ALICE, socket=collector.socket).wait_subscribed()
    clients = {f"c{seed}": run(ALICE, "ask", port, f"c{seed}", FLOOD, seed, window)
               for seed in range(2)}
    for burst in range(BURSTS):
        collector.pause()
        name = f"b{burst}"
        clients[name] = run(ALICE, "ask", port, name, BURST, burst, window)
        clients[name].wait(DEADLINE_S)
        collector.resume()
        told = len(watch.out.lines)
        run(ALICE, "ask", port, "more", 1, 1, 1).wait(DEADLINE_S)
        wait_until(lambda: len(watch.out.lines) > told, "something is told again")
    ports = {name: asked(client) for name, client in clients.items()}
    wait_until(lambda: is_told(watch, run, port), "all is told")
    check(finish(watch, lossy=True), watch.totals(), ports)


def is_told(watch, run, port):
    """What is asked last: then everything before is as well."""
    run(ALICE, "ask", port, "last", 1, 1, 1).wait(DEADLINE_S)
    return any(b"/last/" in line for line in watch.out.lines[-100:])


def check(events, totals, ports):
    lost = sum_lost(events, "KERNEL_RING")
    assert lost == totals["lost_kernel"] > 0 and totals["lost_queue"] == 0, totals
    seen, alone = Counter(), 0
    for event in events:
        told = event.get("http")
        if told and "target" not in told:
            alone += 1
        elif told and told["target"].split("/")[1] in ports:
            _, name, number, status = told["target"].split("/")
            assert event["connection"]["lport"] == ports[name][int(number)]
            assert int(status) == told.get("status", int(status)), event
            seen[told["event"], told["target"]] += 1
    assert max(seen.values()) == 1
    pairs = sum(kind == "RESPONSE" for kind, _ in seen)
    print(f"{totals}: {pairs} responses with their request, {alone} without")
    assert pairs > 0
