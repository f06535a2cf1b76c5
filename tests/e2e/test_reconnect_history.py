# SPDX-License-Identifier: GPL-2.0-only
"""--reconnect where the collector has a history: what happened in between is told, once, and what
cannot be is told as a gap."""

import json
import os
import random
import signal

import pytest

import netwatch_pb2 as pb
import wire
from cut import Wire
from exporter import Export
from harness import ALICE, CONN, FULL, Collector, scaled, wait_until
from test_reconnect import JSON, summary, waits

HISTORY = "--history", "500000"  # somebody else on this host may fill it


def begun(collector):
    wait_until(collector.links, "the history begins")
    return collector


@pytest.fixture
def remembering(start_collector):
    """Collectors whose history has begun."""

    def start(*options, **more):
        return begun(start_collector(*options, **more))

    return start


@pytest.fixture(scope="module")
def shared(request):
    """One with a history, for all that do not end it."""
    collector = begun(Collector(request.config.netwatch_place, *HISTORY))
    yield collector
    collector.stop()


@pytest.fixture
def cuttable(place):
    """A way to a collector that can be cut."""
    made = []

    def make(collector):
        made.append(Wire(place.new_path("cut"), collector.socket))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def served(actor):
    """(port, a client of its server)"""
    server = actor()
    port = server.server(workers=4)
    server.drop_served()
    return port, actor()


def told(client):
    """Its lines. Somebody else may flood the ring at any time, and a history tells all of that."""
    return [line for line in list(client.out.lines) if b'"KERNEL_RING"' not in line]


def stages(client):
    """What was told, after its end."""
    assert client.stop() == 0, client
    return ["lost" if "lost" in event else event["conn"]["event"]
            for event in map(json.loads, told(client))]


def wait_told(client, count):
    wait_until(lambda: len(told(client)) >= count, f"{count} events")


def connects(client, port, count):
    client.connects(count=count, address="127.0.0.1", port=port)


# ------------------------------------------------------------ the real thing


def test_nothing_is_missing(shared, cuttable, netwatch, served):
    """Cut again and again, also within a message, while connections come and go: the lines of who
    was cut are those of who was not."""
    port, client = served
    way = cuttable(shared)
    options = "-a", "--no-existing", "--dport", port
    whole = netwatch(*JSON, *options, socket=shared.socket).wait_subscribed()
    cut = netwatch(*JSON, *options, "--reconnect", socket=way.path).wait_subscribed()
    chance = random.Random(7)
    rounds = scaled(12)
    for number in range(rounds):
        client.tell("connects", count=60, address="127.0.0.1", port=port)
        way.cut(behind=chance.choice([1, 700, 3000, 8000]))
        client.answer()
        connects(client, port, chance.randrange(3))
        waits(cut)
        way.open()
        wait_until(lambda n=number: cut.err.text().count("subscribed") == n + 2, "it goes on")
    connects(client, port, 1)
    assert whole.stop() == 0
    wait_told(cut, len(told(whole)))
    assert cut.stop() == 0, cut
    assert len(told(whole)) >= 3 * 60 * rounds and told(cut) == told(whole)
    assert cut.err.text().count("disconnected") == rounds


def test_late_event_of_before(shared, cuttable, netwatch, actor):
    """A server's ESTABLISHED has the time of its handshake and waits for accept: what comes last
    may be older than what was told."""
    server, client = actor(), actor()
    listener = server.listen()
    way = cuttable(shared)
    cut = netwatch(*JSON, "--reconnect", "--no-existing", "--port", listener["port"],
                   socket=way.path).wait_subscribed()
    first, _ = client.hold(count=2, address="127.0.0.1", port=listener["port"])
    wait_told(cut, 4)
    way.cut()
    client.send(fd=first["fd"], count=1)
    server.receive(fd=server.accept(fd=listener["fd"])["fd"], count=1)
    waits(cut)
    way.open()
    wait_told(cut, 5)
    assert stages(cut) == 2 * ["OPEN", "ESTABLISHED"] + ["ESTABLISHED"]
    times = [json.loads(line)["time"] for line in told(cut)]
    assert times[4] < times[3]


def test_existing_comes_once(shared, cuttable, netwatch, served):
    """Whoever misses nothing knows them; but not if something was missed after all."""
    port, client = served
    way = cuttable(shared)
    client.connect(address="127.0.0.1", port=port)
    cut = netwatch(*JSON, "--reconnect", "--dport", port, socket=way.path).wait_subscribed()
    connects(client, port, 1)
    wait_told(cut, 3)
    way.cut()
    connects(client, port, 1)
    waits(cut)
    way.open()
    wait_told(cut, 5)
    way.cut()
    waits(cut)
    way.open()
    wait_until(lambda: cut.err.text().count("subscribed") == 3, "it is live for the third time")
    assert stages(cut) == ["EXISTING"] + 2 * ["OPEN", "ESTABLISHED"]


def test_packets_are_missing(shared, cuttable, netwatch, served):
    """Of packets there is no history: the gap is told, and connections come all the same, once."""
    port, client = served
    way = cuttable(shared)
    cut = netwatch("subscribe", "--events", "conn,packet", "-v", "-o", "json", "-a", "--reconnect",
                   "--no-existing", "--dport", port, socket=way.path).wait_subscribed()
    connects(client, port, 2)
    wait_until(lambda: sum(b'"CLOSE"' in line for line in list(cut.out.lines)) == 2, "2 closed")
    way.cut()
    connects(client, port, 3)
    waits(cut)
    way.open()
    wait_until(lambda: cut.err.text().count("subscribed") == 2, "it is live again")
    connects(client, port, 2)
    wait_until(lambda: sum(b'"CLOSE"' in line for line in list(cut.out.lines)) == 7, "all closed")
    assert cut.stop() == 0
    events = [json.loads(line) for line in told(cut)]
    assert [event["lost"]["cause"] for event in events if "lost" in event] == ["SUBSCRIBER_QUEUE"]
    found = [(event["connection"]["id"], event["conn"]["event"]) for event in events
             if "conn" in event]
    assert len(found) == len(set(found)) == 21


def test_forgotten(remembering, cuttable, netwatch, served):
    """What the history had no room for is a gap, and what it still holds follows."""
    port, client = served
    collector = remembering("--history", "30")
    way = cuttable(collector)
    cut = netwatch(*JSON, "-a", "--no-existing", "--reconnect", "--fail-on-loss", "--dport", port,
                   socket=way.path).wait_subscribed()
    connects(client, port, 1)
    wait_told(cut, 3)
    way.cut()
    connects(client, port, 100)
    waits(cut)
    way.open()
    wait_until(lambda: cut.err.text().count("subscribed") == 2, "it is live again")
    connects(client, port, 1)
    wait_until(lambda: b'"CLOSE"' in told(cut)[-1], "the last one")
    assert cut.stop() == 6, cut
    events = [json.loads(line) for line in told(cut)]
    lost = [n for n, event in enumerate(events) if "lost" in event]
    assert lost[0] == 3 and events[3]["lost"]["cause"] == "SUBSCRIBER_QUEUE"
    assert "count" not in events[3]["lost"]
    assert 6 < len(told(cut)) < 60  # other ends of connections are remembered as well
    assert len(set(told(cut))) == len(told(cut))


def test_another_collector(remembering, cuttable, netwatch, served):
    """What was told to nobody before it came is a gap; then what it remembers from its beginning."""
    port, client = served
    collector = remembering(*HISTORY)
    way = cuttable(collector)
    cut = netwatch(*JSON, "--reconnect", "--no-existing", "--dport", port,
                   socket=way.path).wait_subscribed()
    connects(client, port, 1)
    wait_told(cut, 2)
    way.cut()
    collector.stop()
    connects(client, port, 1)
    waits(cut)
    remembering(*HISTORY, socket=collector.socket)
    connects(client, port, 5)
    way.open()
    wait_until(lambda: cut.err.text().count("subscribed") == 2, "it is live again")
    connects(client, port, 1)
    wait_told(cut, 2 + 1 + 12)
    assert stages(cut) == ["OPEN", "ESTABLISHED", "lost"] + 6 * ["OPEN", "ESTABLISHED"]
    assert json.loads(told(cut)[2])["lost"]["cause"] == "RESTART"


def test_without_a_history(collector, cuttable, netwatch, served):
    """As ever: a gap."""
    port, client = served
    way = cuttable(collector)
    cut = netwatch(*JSON, "--reconnect", "--no-existing", "--dport", port,
                   socket=way.path).wait_subscribed()
    connects(client, port, 1)
    wait_told(cut, 2)
    way.cut()
    connects(client, port, 1)
    waits(cut)
    way.open()
    wait_until(lambda: cut.err.text().count("subscribed") == 2, "it is live again")
    connects(client, port, 1)
    wait_told(cut, 5)
    assert stages(cut) == ["OPEN", "ESTABLISHED", "lost", "OPEN", "ESTABLISHED"]


def test_exporter_counts_all(shared, cuttable, netwatch, served):
    port, client = served
    way = cuttable(shared)
    process = netwatch("export", "--listen", "127.0.0.1:0", "-v", "--events", "conn", "--dport",
                       port, socket=way.path).wait_subscribed()
    exporter = Export(process)
    name = "netwatch_tcp_closes_total"
    client.connect(address="127.0.0.1", port=port)
    connects(client, port, 3)
    exporter.wait_value(3, name)
    way.cut()
    connects(client, port, 4)
    exporter.wait_value(0, "netwatch_up")
    way.open()
    exporter.wait_value(1, "netwatch_up")
    exporter.wait_value(7, name)
    assert exporter.value("netwatch_stream_gaps_total", cause="queue") == 0
    assert exporter.value("netwatch_tcp_connections", state="established") == 1
    assert process.stop() == 0


# ----------------------------------------------- a slow reader, by the protocol

WATCH = *CONN, "-v", "-o", "json", "--reconnect"


def accept(stub, epoch=1):
    """A peer of a collector with history, and what it is asked."""
    peer = stub.accept()
    peer.say_hello(epoch, history=True)
    return peer, peer.take("subscribe").subscribe


def loss(count):
    return wire.frame(pb.Reply(event=pb.Event(lost=pb.Lost(
        cause=pb.Lost.SUBSCRIBER_QUEUE, count=count, first={"seconds": 1001},
        last={"seconds": 1009}))))


def live(stub):
    peer, asked = accept(stub)
    assert not asked.HasField("from") and not asked.since_ms and not asked.last
    peer.say(subscribed=pb.Subscribed())
    return peer


def give_up(peer, lost):
    """As the collector does: the gap and the end, in one."""
    bye = pb.Bye(reason=pb.Bye.SLOW_READER, totals={"matched": 9, "lost_queue": lost})
    peer.socket.sendall(loss(lost) + wire.frame(pb.Reply(bye=bye)))
    peer.close()


def finish(client, peer, code=0):
    client.process.terminate()
    peer.finish()
    assert client.wait() == code, client


@pytest.fixture
def client(netwatch, stub):
    return netwatch(*WATCH, "--fail-on-loss", socket=stub.path)


def test_slow_reader_catches_up(client, stub):
    """What its queue had no room for comes from the history, and was not lost."""
    peer = live(stub)
    peer.event(connection=1, seconds=1000)
    peer.event(connection=7, seconds=900, event=pb.Conn.EXISTING)  # no such event is remembered
    give_up(peer, 2)
    peer, asked = accept(stub)
    place = getattr(asked, "from")
    assert (place.time.seconds, place.time.nanos, place.id) == (1000, 0, 1)
    assert asked.existing and not asked.since_ms
    for number in 1, 2, 3:
        peer.event(connection=number, seconds=999 + number)
    peer.event(connection=1, seconds=2000, event=pb.Conn.EXISTING)
    peer.say(subscribed=pb.Subscribed())
    peer.event(connection=4, seconds=1003)
    client.wait_events(5)
    finish(client, peer)
    assert summary(client.events()) == [1, 7, 2, 3, 4]


def test_slow_reader_of_a_short_history(client, stub):
    """The place is not there any more: the loss with its count, the gap, and what there is."""
    peer = live(stub)
    peer.event(connection=1, seconds=1000)
    give_up(peer, 2)
    peer, _ = accept(stub)
    peer.event(connection=3, seconds=1002)
    peer.event(connection=1, seconds=2000, event=pb.Conn.EXISTING)
    peer.say(subscribed=pb.Subscribed())
    client.wait_events(5)
    finish(client, peer, code=6)
    assert summary(client.events()) == [1, "SUBSCRIBER_QUEUE", "SUBSCRIBER_QUEUE", 3, 1]
    assert [event["lost"].get("count") for event in client.events() if "lost" in event] == [2, None]


def test_nothing_of_the_history(client, stub):
    """Not even the place, and nothing newer: the gap is told when it is live."""
    peer = live(stub)
    peer.event(connection=1)
    peer.close()
    peer, _ = accept(stub)
    peer.say(subscribed=pb.Subscribed())
    client.wait_events(2)
    finish(client, peer, code=6)
    assert summary(client.events()) == [1, "SUBSCRIBER_QUEUE"]


def test_events_of_one_moment(client, stub):
    """Several of one socket and time, as HTTP has them: as many are left out as were told."""
    peer = live(stub)
    for event in pb.Conn.OPEN, pb.Conn.ESTABLISHED:
        peer.event(connection=1, seconds=1000, event=event)
    peer.close()
    peer, _ = accept(stub)
    for event in pb.Conn.OPEN, pb.Conn.ESTABLISHED, pb.Conn.CLOSE:
        peer.event(connection=1, seconds=1000, event=event)
    peer.event(connection=2, seconds=1000)
    peer.say(subscribed=pb.Subscribed())
    client.wait_events(4)
    peer.close()
    peer, asked = accept(stub)
    assert getattr(asked, "from").id == 2
    peer.event(connection=2, seconds=1000)
    peer.say(subscribed=pb.Subscribed())
    peer.event(connection=3, seconds=1000)
    client.wait_events(5)
    finish(client, peer)
    assert summary(client.events()) == [1, 1, 1, 2, 3]
    told_stages = [event["conn"]["event"] for event in client.events()]
    assert told_stages[:3] == ["OPEN", "ESTABLISHED", "CLOSE"]


def test_broken_off_while_it_goes_on(client, stub):
    """From where it came to, the next time."""
    peer = live(stub)
    peer.event(connection=1, seconds=1000)
    peer.close()
    peer, _ = accept(stub)
    for number in 1, 2:
        peer.event(connection=number, seconds=999 + number)
    client.wait_events(2)
    peer.close()
    peer, asked = accept(stub)
    assert getattr(asked, "from").id == 2
    for number in 2, 3:
        peer.event(connection=number, seconds=999 + number)
    peer.say(subscribed=pb.Subscribed())
    client.wait_events(3)
    finish(client, peer)
    assert summary(client.events()) == [1, 2, 3]


def test_losses_are_told_in_time(client, stub):
    """One that is not at the end is told at its place, and one behind which nothing comes when
    nothing comes."""
    peer = live(stub)
    peer.event(connection=1)
    peer.socket.sendall(loss(3))
    peer.event(connection=2)
    peer.socket.sendall(loss(4))
    client.wait_events(4)
    assert summary(client.events()) == [1, "SUBSCRIBER_QUEUE", 2, "SUBSCRIBER_QUEUE"]
    finish(client, peer, code=6)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_while_it_waits(client, stub, number):
    """What was held back is told: nothing will mend it."""
    peer = live(stub)
    peer.event(connection=1)
    give_up(peer, 5)
    stub.close()
    waits(client)
    assert client.stop(number) == 6
    assert summary(client.events()) == [1, "SUBSCRIBER_QUEUE"]
    assert client.events()[1]["lost"]["count"] == 5
    stub.open()


def test_nothing_came_before(client, stub):
    """Without a place, what the history has of the time since; the gap is told."""
    live(stub).close()
    peer, asked = accept(stub)
    assert not asked.HasField("from") and 1 <= asked.since_ms < 60_000
    peer.event(connection=1)
    peer.say(subscribed=pb.Subscribed())
    client.wait_events(2)
    finish(client, peer, code=6)
    assert summary(client.events()) == ["SUBSCRIBER_QUEUE", 1]


# ------------------------------------------------------ a collector that is older

OLDER = {
    "last": (["subscribe", "--last", 5], "--last"),
    "since": (["subscribe", "--since", "1h"], "--since"),
    "list": (["list", "--all"], "list --all"),
}


@pytest.mark.parametrize("minor, code", [(0, 78), (1, 1)])
@pytest.mark.parametrize("words, named", OLDER.values(), ids=OLDER)
def test_older_collector(netwatch, stub, words, named, minor, code):
    """Asked for a history, of which it knows nothing: the sentence names what is missing. One that
    is not older has another reason, in its own words."""
    client = netwatch(*words, socket=stub.path, uid=ALICE)
    peer = stub.accept()
    peer.say_hello(minor=minor)
    peer.reply_body()
    peer.say(error=pb.Error(code=pb.Error.INVALID, message="field 7 is not known"))
    peer.close()
    assert client.wait() == code and not client.out.lines
    text = client.err.text()
    assert (named in text and "too old" in text) == (code == 78), text
    assert ("field 7 is not known" in text) == (code == 1)
    assert text.count("\n") == 1


def test_hello_tells_of_the_history(collector, shared):
    for which, keeps in (collector, False), (shared, True):
        with wire.Connection(which.socket) as connection:
            assert connection.hello.history == keeps and connection.hello.HasField("history")
            assert connection.hello.minor >= 1


@pytest.mark.skipif(not FULL, reason="NOT TRIED: it takes a minute; NETWATCH_FULL=1 does")
def test_stopped_for_a_minute(remembering, netwatch, served):
    """Ctrl-Z, and fg after the collector gave up on it."""
    port, client = served
    collector = remembering(*HISTORY, "--queue", "256K")
    options = "-a", "--no-existing", "--dport", port
    whole = netwatch(*JSON, *options, socket=collector.socket).wait_subscribed()
    stopped = netwatch(*JSON, *options, "--reconnect", "--stats", socket=collector.socket)
    stopped.wait_subscribed()
    collector.allow("has not read for 60 s")
    os.kill(stopped.pid, signal.SIGSTOP)
    for _ in range(10):
        connects(client, port, 500)
        wait_until(lambda: wire.status(collector.socket).subscription[0].queue_bytes == 0, "read")
    gone = wait_until(lambda: len(wire.status(collector.socket).subscription) == 1, "given up", 90)
    assert gone and wire.status(collector.socket).ended.slow_reader == 0  # it is still to be told
    os.kill(stopped.pid, signal.SIGCONT)
    wait_until(lambda: stopped.err.text().count("subscribed") == 2, "it goes on")
    connects(client, port, 1)
    wait_told(whole, 3 * 5001)
    wait_told(stopped, 3 * 5001)
    assert whole.stop() == 0 and stopped.stop() == 0, stopped
    assert told(stopped) == told(whole)
    assert stopped.totals()["lost_queue"] > 0
