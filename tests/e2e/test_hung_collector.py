# SPDX-License-Identifier: GPL-2.0-only
"""The client with a collector that hangs, says too much, or is gone: the client ends when it
is told to; and the fake collector itself."""

import threading
import time

import fake_collector as fake
import netwatch_pb2 as pb
import wire
from fake_collector import GOOD, GREETED, HELLO, LINE, REPLY_MAX, START
from harness import wait_until
from wire import nested, varint

END_S = 20  # an end that was asked for: 1 s of grace, and a busy machine


def dribble(peer, data):
    """Byte after byte, for ever in effect."""
    for index in range(len(data)):
        peer.play(data[index : index + 1])
        time.sleep(0.05)


UNKNOWN = wire.frame(nested(250, b"x" * 1000))
ENDLESS = {
    "silent": lambda peer: peer.until_gone(),
    "hello byte by byte": lambda peer: dribble(peer, fake.hello(category=["x" * 9000])),
    "half a hello": lambda peer: (peer.play(HELLO[:-1]), peer.until_gone()),
    "unknown kinds before hello": lambda peer: peer.until_gone(UNKNOWN * 50),
    "never live": lambda peer: (peer.play(HELLO), peer.until_gone()),
    "a frame byte by byte": lambda peer: (peer.play(GREETED), dribble(peer, b"\xff\xff\3" * 999)),
    "a frame without end": lambda peer: (
        peer.play(GREETED, varint(REPLY_MAX), b"x" * (REPLY_MAX - 1)), peer.until_gone()),
    "no bye": lambda peer: (peer.play(START), peer.until_gone()),
    "a flood of events": lambda peer: (peer.play(GREETED), peer.until_gone(GOOD * 1000)),
    "a flood of unknown kinds": lambda peer: (peer.play(GREETED), peer.until_gone(UNKNOWN * 50)),
}  # fmt: skip


def start_endless(place, netwatch, say):
    """(collector, client) that are in the midst of it."""
    greeted = threading.Event()

    def script(peer):
        peer.request()
        greeted.set()
        try:
            say(peer)
        except fake.GONE:
            pass

    collector = fake.FakeCollector(place, script)
    collector.__enter__()
    client = netwatch(*fake.SUBSCRIBE, socket=collector.path)
    assert greeted.wait(END_S)
    return collector, client


def test_can_be_stopped(place, netwatch):
    """By SIGTERM, whatever the collector does: at once, or after the time of grace."""
    started = {name: start_endless(place, netwatch, say) for name, say in ENDLESS.items()}
    began = time.monotonic()
    for collector, client in started.values():
        client.process.terminate()
    for name, (collector, client) in started.items():
        assert client.wait() == 0, (name, str(client))
        collector.__exit__(None)
        *lines, last = client.out.lines or [LINE]
        assert all(line == LINE for line in lines), name
        assert LINE == last, name  # when the grace is over, in the middle of one
    assert time.monotonic() - began < END_S


def test_nobody_accepts(place):
    """A collector that hangs, with a queue of clients before us."""
    with fake.socket.socket(fake.socket.AF_UNIX) as listener:
        path = str(place.new_path("hung"))
        listener.bind(path)
        listener.listen(0)
        with fake.socket.socket(fake.socket.AF_UNIX) as first:
            first.connect(path)
            code, out, err = fake.run(place, path, "status")
    assert (code, out) == (3, b"") and path.encode() in err, err
    fake.assert_one_line(err)


def test_duration_without_bye(place):
    """Nor does it need the collector to end by itself."""
    began = time.monotonic()
    code, out, err = fake.run_with(
        place, lambda peer: (peer.request(), peer.play(START), peer.until_gone()),
        *fake.SUBSCRIBE, "--duration", "2s", "--stats",
    )  # fmt: skip
    assert (code, out) == (0, LINE) and b"did not give its account" in err, err
    assert time.monotonic() - began < END_S


def test_count_is_not_exceeded(place):
    """However many come: so many lines, and the client says that it has enough."""
    many = GREETED + GOOD * 5 + fake.BYE
    with fake.FakeCollector(place, lambda peer: peer.converse(many)) as one:
        code, out, _ = fake.run(place, one.path, *fake.SUBSCRIBE, "-c", 2)
    assert (code, out) == (0, LINE * 2)
    requests = [request.WhichOneof("request") for request in one.peers[0].requests]
    assert requests[:2] == ["hello", "subscribe"] and set(requests[2:]) <= {"unsubscribe"}


def test_gone_while_it_asks(place):
    """The collector's last word is read, though it reads no request."""

    def script(peer):
        peer.play(fake.refusal(pb.Error.BUSY, "32 connections of uid 0"))

    for _ in range(20):
        code, out, err = fake.run_with(place, script, "subscribe")
        assert (code, out, err) == (1, b"", b"netwatch: 32 connections of uid 0\n")


# ------------------------------------------------------------- the fake itself


def test_fake_collector(place):
    """Another epoch for each connection; it keeps what was asked."""

    def script(epoch):
        def greet(peer):
            peer.request()
            peer.trickle(fake.hello(epoch=epoch))
            peer.until_gone()

        return greet

    with fake.FakeCollector(place, script(1), script(2)) as collector:
        for epoch in 1, 2:
            with wire.Connection(collector.path) as connection:
                assert connection.hello.epoch == epoch
                connection.send(pb.Request(list=pb.List()))
        wait_until(lambda: len(collector.peers) == 2, "both were served")
    for peer in collector.peers:
        assert [request.WhichOneof("request") for request in peer.requests] == ["hello", "list"]
