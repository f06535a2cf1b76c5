# SPDX-License-Identifier: GPL-2.0-only
"""Reports of category tcpinfo at intervals: each at its time, none twice and none left out, and
what remains when nobody wants them."""

import subprocess
from collections import Counter
from itertools import pairwise

import netwatch_pb2 as pb
import wire
from harness import ALICE, BOB, SCALE, scaled, wait_until
from reports import COUNTERS, ends, pair_of, talk
from reports import collector, reports, watch_both  # noqa: F401, fixtures
from test_conn import by_id, seconds

CROWD = scaled(1000)  # connections; twice as many sockets
KEPT = 0.5 if SCALE == 1 else 0.1  # of the ticks, at least; an emulated machine stops for seconds


def check_series(events, interval_s, waited_s):
    """Reports of one socket, the end among them: at their times, and differences that add up.
    waited_s: for so long others had the CPU."""
    numbers = [event["tcpinfo"] for event in events]
    for name in "bytes_acked", "bytes_received":
        assert f"{name}_delta" not in numbers[0], numbers[0]
        for before, after in pairwise(numbers):
            assert after[f"{name}_delta"] == after[name] - before[name]
        total = numbers[0][name] + sum(one[f"{name}_delta"] for one in numbers[1:])
        assert total == numbers[-1][name]
    ticks = [seconds(event["time"]) for event in events if event["tcpinfo"]["state"] != "CLOSE"]
    for before, after in pairwise(ticks):
        assert after > before
    spent = ticks[-1] - ticks[0]
    # A tick that cannot come in time is left out, and none comes twice.
    least = KEPT * (spent - waited_s) / interval_s
    assert least <= len(ticks) - 1 <= 1.1 * spent / interval_s + 1, (ticks, waited_s)


def test_intervals(collector, watch_both, actor):
    """Two subscribers with intervals of their own: each has its own differences."""
    server, client = actor(), actor()
    listener = server.listen()
    ours, theirs = pair_of(server, client, listener)
    port = listener["port"]
    fast, slow = (
        watch_both("-a", "-d", port, "--interval", interval, "--stats")
        for interval in ("100ms", "300ms")
    )
    before = collector.waited_s()
    client.chatter(fd=ours["fd"], count=777)
    server.chatter(fd=theirs["fd"], count=99)
    slow.wait_events(5)
    waited_s = collector.waited_s() - before
    server.reset(fd=theirs["fd"])
    for watch, interval_s in (fast, 0.1), (slow, 0.3):
        wait_until(lambda: any(b"CLOSE" in line for line in list(watch.out.lines)), "it ended")
        wait_until(lambda: b'tcpinfo":{"state":"CLOSE"' in watch.out.lines[-1], "its last report")
        events = watch.stopped_events()
        totals = watch.totals()
        assert totals["matched"] == totals["delivered"] == len(events), totals
        (closed,) = [event["conn"] for event in events if "conn" in event]
        series = [event for event in events if "tcpinfo" in event]
        check_series(series, interval_s, waited_s)
        for name in COUNTERS:
            assert series[-1]["tcpinfo"][name] == closed[name]
    if SCALE == 1:
        left_out = waited_s / 0.1
        assert len(fast.events()) > 2 * len(slow.events()) - 3 - left_out, waited_s


def test_a_new_subscriber_begins_anew(reports, actor):
    """With the first report of an interval that nobody used in between there is no difference."""
    server, client = actor(), actor()
    listener = server.listen()
    ours, theirs = pair_of(server, client, listener)
    for _ in range(2):
        watch = reports("-d", listener["port"])
        watch.wait_events(3)
        first, second, *_ = watch.stopped_events()
        assert "bytes_acked_delta" not in first["tcpinfo"]
        assert second["tcpinfo"]["bytes_acked_delta"] == 0
        talk(client, server, ours, theirs)


def test_sockets_of_another_filter(reports, actor):
    """Sockets that nobody wanted until now, some of another user, at an interval in use."""
    alice, bob = actor(), actor(uid=BOB)
    ports, told = [], []
    for one in alice, bob:
        listener = one.listen()
        ports.append(listener["port"])
        told.append(pair_of(one, one, listener)[0]["id"])
    first = reports("-d", ports[0])
    first.wait_events(2)
    second = reports("-d", ports[1])
    second.wait_events(2)
    both = reports("-d", f"{ports[0]},{ports[1]}")
    both.wait_events(4)
    own = reports("-d", f"{ports[0]},{ports[1]}", uid=BOB)
    own.wait_events(2)
    expected = (first, {told[0]}), (second, {told[1]}), (both, set(told)), (own, {told[1]})
    for watch, ids in expected:
        events = watch.stopped_events()
        assert set(by_id(events)) == ids
        assert all(event["connection"]["uid"] in (ALICE, BOB) for event in events)


def test_nobody_sees_the_ends_of_others(reports, actor):
    server, client = actor(), actor()
    listener = server.listen()
    stranger = reports("--port", listener["port"], uid=BOB)
    watch = reports("--port", listener["port"])
    ends(client, server, listener, "closed")
    wait_until(lambda: sum(e["tcpinfo"]["state"] == "CLOSE" for e in watch.events()) == 2, "ends")
    assert not stranger.stopped_events()


def test_server_that_never_reads_has_its_process(reports, actor):
    """As told by conn: a walk finds it."""
    server, client = actor(), actor()
    listener = server.listen()
    watch = reports("-s", listener["port"], "-p", server.pid)
    ours, theirs = pair_of(server, client, listener)
    wait_until(lambda: theirs["id"] in by_id(watch.events()), "it is reported by its process")
    client.close(fd=ours["fd"])


def hold(actor, port, count):
    """Connections in processes that may have as many; ids of the client's ends."""
    told = []
    for begin in range(0, count, 250):
        told += actor().hold(count=min(250, count - begin), address="127.0.0.1", port=port)
    return {one["id"] for one in told}


def test_crowd(start_collector, reports, actor):
    """Many sockets and a small ring: at each tick each socket once, and none is lost."""
    collector = start_collector("--ring", "64K")
    server = actor()
    listener = server.listen()
    held = hold(actor, listener["port"], CROWD)
    watch = reports("-d", listener["port"], "--interval", "500ms", "--stats",
                    socket=collector.socket)
    wait_until(lambda: len(watch.out.lines) >= 4 * len(held), "four ticks")
    events = watch.stopped_events()
    totals = watch.totals()
    assert totals["matched"] == totals["delivered"] == len(events), totals
    assert totals["lost_kernel"] == totals["lost_queue"] == 0
    counts = Counter(int(event["connection"]["id"]) for event in events)
    assert set(counts) == held
    # The stop comes in the middle of a tick, perhaps.
    assert set(counts.values()) <= {max(counts.values()), max(counts.values()) - 1}, counts


def test_crowd_that_changes(reports, actor):
    """Sockets come and go while a tick goes in slices: those that stay are at each tick."""
    server, other = actor(), actor()
    listener = server.listen()
    port = other.server()
    other.drop_served()
    held = hold(actor, listener["port"], CROWD)
    watch = reports("-d", f"{listener['port']},{port}", "--interval", "200ms", "--stats")
    churn = [actor(), actor()]
    for one in churn:
        one.tell("connects", count=scaled(3000), address="127.0.0.1", port=port)
    for one in churn:
        one.answer()
    events = watch.stopped_events()
    totals = watch.totals()
    assert totals["matched"] == totals["delivered"] == len(events), totals
    ticks = Counter(int(event["connection"]["id"]) for event in events)
    counts = {ticks[cookie] for cookie in held}
    assert counts <= {max(counts), max(counts) - 1} and max(counts) > 1, counts
    ended = [event for event in events if event["tcpinfo"]["state"] == "CLOSE"]
    assert len(ended) == 2 * scaled(3000) == len({event["connection"]["id"] for event in ended})


# ------------------------------------------------------------------- limits


def test_limits_of_intervals(collector):
    """Eight at once; what nobody uses any more is free again; 100 ms at least."""
    def ask(interval):
        connection = wire.Connection(collector.socket)
        connection.send(pb.Request(subscribe=pb.Subscribe(
            category=["tcpinfo"], interval_ms=interval,
            filter=pb.Filter(lport=wire.ports(1)))))
        return connection

    def live(interval):
        connection = ask(interval)
        connection.expect("subscribed")
        return connection

    def refusal(interval):
        with ask(interval) as connection:
            return connection.expect("error")

    for interval in 0, 99:
        error = refusal(interval)
        assert error.code == pb.Error.INVALID and "interval_ms" in error.message
    held = [live(1000 + interval) for interval in range(8)]
    error = refusal(2000)
    assert error.code == pb.Error.LIMIT and "interval" in error.message
    with live(1003):
        pass
    held.pop().unsubscribe()
    held.append(live(2000))
    for connection in held:
        connection.unsubscribe()


def test_nothing_is_left(collector, reports, actor):
    """When the last subscriber has left: no program, no timer, and nothing kept about sockets."""
    server, client = actor(), actor()
    listener = server.listen()
    pair_of(server, client, listener)
    watch = reports("--port", listener["port"])
    watch.wait_events(3)
    assert collector.links()
    assert watch.stop() == 0
    wait_until(lambda: not collector.links(), "the links are gone")

    def rests():
        before = collector.cpu()
        subprocess.run(["ss", "-tn"], check=True, capture_output=True)
        wait_until(lambda: True, "")
        return collector.cpu() == before

    wait_until(rests, "the collector sleeps")
