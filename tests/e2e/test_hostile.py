# SPDX-License-Identifier: GPL-2.0-only
"""Hundreds of hostile inputs. Each gets its own answer, and none costs others an event: a
subscriber with steady traffic misses nothing and is told of everything at once."""

import threading
import time
from collections import defaultdict

import pytest

import hostile_wire
import netwatch_pb2 as pb
import wire
from harness import Actor, Collector, wait_until

LATE_S = 2.0  # on a busy machine; else it takes some milliseconds
PACE_S = 0.02


class Watched:
    """A collector with a subscriber of traffic that goes on meanwhile."""

    def __init__(self, place):
        self.collector = Collector(place)
        self.server, self.client = Actor(place), Actor(place)
        self.port = self.server.server()
        self.server.drop_served()
        self.watch = wire.Connection(self.collector.socket)
        self.watch.subscribe(rport=wire.ports(self.port))
        self.told = []
        self.stages = defaultdict(list)
        self.events = 0
        self.latest = 0.0
        self.going_on = True
        self.threads = [threading.Thread(target=run) for run in (self.connect, self.read)]
        for thread in self.threads:
            thread.start()

    def connect(self):
        while self.going_on:
            self.told += self.client.connects(count=1, address="127.0.0.1", port=self.port)
            time.sleep(PACE_S)
        self.watch.send(pb.Request(unsubscribe=pb.Unsubscribe()))

    def read(self):
        while not (reply := self.watch.reply()).HasField("bye"):
            event = reply.event
            late = time.time() - event.time.ToNanoseconds() / 1e9
            self.latest = max(self.latest, late)
            self.stages[event.connection.id].append(event.conn.event)
            self.events += 1
        self.totals = reply.bye.totals

    def check(self):
        """The collector serves: what happened until now comes, and came in time."""
        assert self.collector.process.poll() is None, self.collector.text()
        assert not self.collector.unexpected(), self.collector.text()
        expected = 3 * len(self.told)
        wait_until(lambda: self.events >= expected, "the traffic's events", LATE_S)
        assert self.latest < LATE_S

    def finish(self):
        self.going_on = False
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        for actor in self.server, self.client:
            actor.end()
        self.watch.close()
        self.collector.stop()
        whole = [pb.Conn.OPEN, pb.Conn.ESTABLISHED, pb.Conn.CLOSE]
        assert self.stages == {told["id"]: whole for told in self.told}
        assert self.totals.matched == self.totals.delivered == 3 * len(self.told)
        assert self.latest < LATE_S


@pytest.fixture(scope="module")
def watched(request):
    made = Watched(request.config.netwatch_place)
    yield made
    made.finish()


@pytest.fixture(autouse=True)
def others_are_served(watched):
    yield
    watched.check()


def test_the_inputs_are_many():
    names = [row.name for row in hostile_wire.INPUTS]
    assert len(names) == len(set(names)) > 200
    assert len({(row.data, row.greet) for row in hostile_wire.INPUTS}) == len(names)


def last_reply(connection, kind):
    while True:
        body = connection.reply_body()
        reply = pb.Reply.FromString(body)
        which = reply.WhichOneof("reply")
        if which in (kind, "error", "bye"):
            assert not {0x1B, 0x07, 0x7F, 0xFF} & set(reply.error.message.encode()), body
            assert reply.error.message.isprintable(), body
            return reply


@pytest.mark.parametrize("row", hostile_wire.INPUTS, ids=lambda row: row.name)
def test_wire(watched, row):
    with wire.Connection(watched.collector.socket, greet=row.greet) as connection:
        connection.socket.sendall(row.data)
        reply = last_reply(connection, row.kind)
        assert reply.WhichOneof("reply") == row.kind, reply
        if row.kind == "error":
            assert reply.error.code == row.code, reply
            assert row.word in reply.error.message, reply
            connection.expect_closed()
