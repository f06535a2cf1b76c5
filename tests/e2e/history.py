# SPDX-License-Identifier: GPL-2.0-only
"""What tests of the history share: a collector that remembers, and what it tells. Its fixtures are
imported by those tests. A history has the events of the whole machine: those of others must
neither push out what a test asks for nor take its place in the ring."""

import pytest

import netwatch_pb2 as pb
import wire
from harness import ROOMY, Collector, wait_until

EVENTS = 500_000
ALL = 10**9


def remembering(place, *options, **more):
    """A collector whose history has begun."""
    collector = Collector(place, *options, **more)
    wait_until(collector.links, "the history begins")
    return collector


@pytest.fixture(scope="module")
def shared(request):
    collector = remembering(request.config.netwatch_place, "--history", str(EVENTS), *ROOMY)
    yield collector
    collector.stop()


@pytest.fixture
def collector(shared):
    """Of the file: its history is never asked about other ports than the test's own."""
    assert shared.process.poll() is None, f"a test before ended it: {shared.text()}"
    return shared


@pytest.fixture
def past(netwatch):
    """What the history has: the lines of `netwatch subscribe --last ... --no-follow`. Somebody
    else on this host may flood the ring at any time: of losses only who asks for them is told."""

    def run(*options, events="conn", code=0, losses=False, **more):
        if "--last" not in options and "--since" not in options:
            options += "--last", ALL
        client = netwatch("subscribe", "--events", events, "-o", "json", "--no-follow", *options,
                          **more)
        assert client.wait() == code, client
        return [line for line in client.out.lines if losses or not line.startswith(b'{"lost"')]

    return run


def without_losses(events):
    return [event for event in events if not event.HasField("lost")]


def remembered(path, last=None, since_ms=None, closed=True, uid=None, **criteria):
    """The events that no_follow brings."""
    with wire.Connection(path, uid=uid) as connection:
        connection.send(pb.Request(subscribe=pb.Subscribe(
            category=["conn"], closed=closed, last=last, since_ms=since_ms, no_follow=True,
            filter=pb.Filter(**criteria))))
        events, bye = connection.until("bye")
        assert bye.reason == pb.Bye.DONE and not bye.totals.matched and not bye.totals.delivered
        return without_losses(events)


@pytest.fixture
def served(actor, collector):
    """(port, a client of its server)"""
    server = actor()
    port = server.server()
    server.drop_served()
    return port, actor()
