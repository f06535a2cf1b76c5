# SPDX-License-Identifier: GPL-2.0-only
"""--reconnect: a collector that goes away and comes back, and the gap between."""

import os
import re
import signal
import time
from datetime import datetime

import pytest

import netwatch_pb2 as pb
from formats import frames, kinds, rows
from harness import ALICE, CONN, wait_until

WATCH = *CONN, "-v"
JSON = *WATCH, "-o", "json"
END_S = 20  # at once, or after the duration; on a busy machine


@pytest.fixture
def again(netwatch, stub):
    """A client that comes back, at the stub."""

    def run(*options, **more):
        return netwatch(*JSON, "--reconnect", *options, socket=stub.path, **more)

    return run


def waits(client):
    """Until it has noticed that nobody is there."""
    wait_until(
        lambda: "waiting for the collector" in client.err.text()
        or client.process.poll() is not None,
        "the client waits",
    )
    assert client.process.poll() is None, client
    return client


def summary(events):
    """What came: ids, and causes of losses."""
    return [
        event["lost"]["cause"] if "lost" in event else int(event["connection"]["id"])
        for event in events
    ]


def seconds(text):
    return datetime.fromisoformat(text[:26]).timestamp() if text else None


# ------------------------------------------------------------ the real thing


def test_collector_killed_and_started_again(start_collector, netwatch, actor):
    """In each format: one gap, before what the new collector begins with."""
    collector = start_collector()
    server, client = actor(), actor()
    port = server.server(workers=4)
    client.connect(address="127.0.0.1", port=port)
    options = "--reconnect", "--dport", port, "--stats"
    watches = [
        netwatch(*WATCH, "-o", how, *options, uid=ALICE, socket=collector.socket)
        for how in ("json", "csv", "pb", "table")
    ]
    for watch in watches:
        watch.wait_subscribed()
    client.connects(count=1, address="127.0.0.1", port=port)
    watches[0].wait_events(3)
    collector.kill()
    begin = time.time()
    client.connects(count=1, address="127.0.0.1", port=port)
    end = time.time()
    for watch in watches:
        waits(watch)
    start_collector(socket=collector.socket)
    for watch in watches:
        wait_until(
            lambda: watch.err.text().count("subscribed") == 2, "it is live again"
        )
    client.connects(count=1, address="127.0.0.1", port=port)
    for watch in watches:
        assert watch.stop() == 0, watch
        assert watch.err.text().count("disconnected") == 1
        assert watch.totals()["matched"] == 2
        assert "account of 1 of 2 subscriptions" in watch.err.text()
    table_json, table_csv, raw, table = watches

    events = table_json.events()
    stages = [event["conn"]["event"] if "conn" in event else "lost" for event in events]
    assert stages == [
        "EXISTING", "OPEN", "ESTABLISHED", "lost", "EXISTING", "OPEN", "ESTABLISHED"
    ]
    lost = events[3]["lost"]
    assert set(lost) == {"cause", "first", "last"} and lost["cause"] == "RESTART"
    assert seconds(events[2]["time"]) <= seconds(lost["first"]) <= begin
    assert end <= seconds(lost["last"]) <= seconds(events[5]["time"])

    assert [row.get("conn.event", "lost") for row in rows(table_csv)] == stages
    assert rows(table_csv)[3].keys() == {"category", "lost.cause", "lost.first", "lost.last"}
    replies = frames(raw)
    assert kinds(replies) == ["hello", "event", "subscribed"] + ["event"] * 6 + ["bye"]
    assert replies[5].event.lost.cause == pb.Lost.RESTART
    lines = [line.decode() for line in table.out.lines]
    assert len(lines) == 7 and sum("TIME" in line for line in lines) == 1
    assert len(re.findall("events were lost: cause=RESTART first=", table.err.text())) == 1


def test_without_reconnect(netwatch, stub):
    client = netwatch(*JSON, socket=stub.path)
    stub.live().close()
    assert client.wait() == 4
    client = netwatch(*JSON, socket=stub.path)
    stub.live().bye(reason=pb.Bye.SHUTDOWN)
    assert client.wait() == 4
    assert "stopped" in client.err.text()


# -------------------------------------------------------------- which gap


def test_gap_by_epoch(again, stub):
    """The same collector gave up on this client, or it is another one."""
    client = again()
    peer = stub.live(epoch=1)
    peer.event(connection=1, seconds=5000)
    peer.bye(reason=pb.Bye.SLOW_READER, matched=9, lost_queue=8)
    peer = stub.live(epoch=1)
    peer.event(connection=2)
    peer.bye(reason=pb.Bye.SHUTDOWN)
    peer = stub.live(epoch=2)
    peer.event(connection=3)
    client.wait_events(5)
    client.process.terminate()
    peer.finish()
    assert client.wait() == 0, client
    events = client.events()
    assert summary(events) == [1, "SUBSCRIBER_QUEUE", 2, "RESTART", 3]
    assert events[1]["lost"]["first"] == "1970-01-01T01:23:20.000000000Z"
    assert "nothing was read for too long" in client.err.text()
    assert "stopped" in client.err.text()


def test_gap_comes_before_existing(again, stub):
    client = again()
    stub.live(epoch=1).close()
    peer = stub.accept()
    peer.say_hello(epoch=2)
    peer.take("subscribe")
    peer.event(connection=7, event=pb.Conn.EXISTING)
    client.wait_events(2)
    assert summary(client.events()) == ["RESTART", 7]
    peer.say(subscribed=pb.Subscribed())
    client.process.terminate()
    peer.finish()
    assert client.wait() == 0
    assert len(client.events()) == 2


def test_gap_without_events(again, stub):
    """It does not wait for one."""
    client = again()
    stub.live(epoch=1).close()
    peer = stub.live(epoch=2)
    client.wait_events(1)
    assert summary(client.events()) == ["RESTART"]
    client.process.terminate()
    peer.finish()
    assert client.wait() == 0


def test_busy_and_half_starts(again, stub):
    """What ends before the subscription is tried again; the gap is told once, with its cause."""
    client = again()
    stub.live(epoch=1).close()
    peer = stub.accept()
    peer.say(error=pb.Error(code=pb.Error.BUSY, message="too many connections"))
    peer.close()
    peer = stub.accept()
    peer.say_hello(epoch=2)
    peer.take("subscribe")
    peer.say(error=pb.Error(code=pb.Error.BUSY, message="no memory for a filter"))
    peer.close()
    stub.accept().close()
    peer = stub.live(epoch=2)
    peer.event(connection=3)
    client.wait_events(2)
    client.process.terminate()
    peer.finish()
    assert client.wait() == 0
    assert summary(client.events()) == ["RESTART", 3]
    assert client.err.text().count("disconnected") == 1, client


# ----------------------------------------------------------------- the ends


def test_first_connection_must_succeed(netwatch, place, stub):
    client = netwatch(*JSON, "--reconnect", socket=str(place.path / "nobody"))
    assert client.wait() == 3
    client = netwatch(*JSON, "--reconnect", socket=stub.path)
    peer = stub.accept()
    peer.say(error=pb.Error(code=pb.Error.BUSY, message="too many connections"))
    peer.close()
    assert client.wait() == 1, client
    client = netwatch(*JSON, "--reconnect", socket=stub.path)
    peer = stub.accept()
    peer.say_hello()
    peer.close()
    assert client.wait() == 4


@pytest.mark.parametrize(
    "answer, code",
    [
        (lambda peer: peer.say_hello(major=2), 76),
        (lambda peer: refuse(peer, pb.Error.PERMISSION), 77),
        (lambda peer: refuse(peer, pb.Error.LIMIT), 1),
        (lambda peer: refuse(peer, pb.Error.UNAVAILABLE), 78),
    ],
)
def test_another_collector_may_refuse(again, stub, answer, code):
    client = again()
    stub.live(epoch=1).close()
    answer(stub.accept())
    assert client.wait() == code, client


def refuse(peer, code):
    peer.say_hello(epoch=2)
    peer.say(error=pb.Error(code=code, message="no"))


def test_count_goes_on(again, stub):
    """Events are counted over all connections, gaps are not."""
    client = again("-c", 2)
    peer = stub.live(epoch=1)
    peer.event(connection=1)
    client.wait_events(1)
    peer.close()
    peer = stub.live(epoch=2)
    peer.event(connection=2)
    peer.event(connection=3)
    peer.finish()
    assert client.wait() == 0
    assert summary(client.events()) == [1, "RESTART", 2]


def test_stats_are_sums(again, stub):
    client = again("--stats")
    stub.live(epoch=1).bye(
        reason=pb.Bye.SHUTDOWN, matched=10, delivered=9, lost_kernel=1, duration_us=1500000
    )
    peer = stub.live(epoch=2)
    client.wait_events(1)
    client.process.terminate()
    peer.finish(matched=5, delivered=2, filtered=1, lost_queue=2, duration_us=600000)
    assert client.wait() == 0
    assert client.totals() == {
        "matched": 15, "delivered": 11, "filtered": 1, "lost_kernel": 1, "lost_queue": 2,
        "duration_s": 2.1,
    }
    assert "account" not in client.err.text()


@pytest.mark.parametrize("options, code", [([], 0), (["--fail-on-loss"], 6)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, None])
def test_end_while_waiting(again, stub, options, code, number):
    """By a signal, or by --duration. What happens meanwhile nobody tells."""
    client = again(*options, *([] if number else ["--duration", "2s"]))
    stub.live().close()
    stub.close()
    waits(client)
    begin = time.monotonic()
    assert (client.stop(number) if number else client.wait()) == code, client
    assert time.monotonic() - begin < END_S
    stub.open()


def test_fail_on_loss(again, stub):
    """A gap is a loss; another collector without one is none."""
    client = again("--fail-on-loss")
    stub.live(epoch=1).close()
    peer = stub.live(epoch=2)
    client.wait_events(1)
    client.process.terminate()
    peer.finish()
    assert client.wait() == 6
    assert client.err.lines[-1] == b"netwatch: events were lost\n"


def test_loss_known_from_the_account(netwatch, stub):
    client = netwatch(*JSON, "--fail-on-loss", socket=stub.path)
    peer = stub.live()
    client.wait_subscribed()
    client.process.terminate()
    peer.finish(matched=1, lost_queue=1)
    assert client.wait() == 6


def test_reader_goes_while_waiting(again, stub):
    """`| head`: nothing is written, and it ends all the same."""
    read_end, write_end = os.pipe()
    client = again(stdout=write_end)
    os.close(write_end)
    stub.live().close()
    stub.close()
    waits(client)
    os.close(read_end)
    assert client.wait() == -signal.SIGPIPE
    stub.open()
