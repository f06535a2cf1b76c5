# SPDX-License-Identifier: GPL-2.0-only
"""Subscribe.from: the history from one event on, in the order in which it happened, whatever the
times of what followed."""

import pytest

import netwatch_pb2 as pb
import wire
from harness import wait_until
from talk import Talk, get, ok
from test_history import ALL, collector, shared, served, without_losses

assert collector and shared and served


def place_of(event, **other):
    return pb.Place(**{"time": event.time, "id": event.connection.id} | other)


def ask(collector, place, category="conn", no_follow=True, **criteria):
    """Events until bye, or until it is live, and what came then."""
    connection = wire.Connection(collector.socket)
    request = pb.Subscribe(category=[category], closed=True, no_follow=no_follow,
                           filter=pb.Filter(**criteria))
    if isinstance(place, pb.Place):
        getattr(request, "from").CopyFrom(place)
    else:
        request.last = place
    connection.send(pb.Request(subscribe=request))
    events, _ = connection.until("bye" if no_follow else "subscribed")
    return without_losses(events), connection


def history_of(collector, count, **criteria):
    def enough():
        events, connection = ask(collector, ALL, **criteria)
        connection.close()
        return len(events) >= count and events

    return wait_until(enough, f"{count} events are remembered")


@pytest.fixture
def events(collector, served):
    """(those of some connections to a port, what asks for just these)"""
    port, client = served
    client.connects(count=8, address="127.0.0.1", port=port)
    criteria = {"rport": wire.ports(port)}
    return history_of(collector, 24, **criteria), criteria


def test_each(collector, events):
    """That event and all behind it, though the kernel's clocks may put it otherwise."""
    events, criteria = events
    for number, event in enumerate(events):
        found, connection = ask(collector, place_of(event), **criteria)
        connection.close()
        assert found == events[number:]


def test_it_goes_on(collector, served, events):
    events, criteria = events
    found, connection = ask(collector, place_of(events[-2]), no_follow=False, **criteria)
    assert found == events[-2:]
    port, client = served
    client.connects(count=2, address="127.0.0.1", port=port)
    live = connection.events(6)
    connection.close()
    assert history_of(collector, 30, **criteria) == events + live


def test_not_there(collector, events):
    """No such time, or no such socket at that time: what is not older, by the clock."""
    events, criteria = events
    middle = events[11]
    newer = [event for event in events if event.time.ToNanoseconds() >= middle.time.ToNanoseconds()]
    other = pb.Place(id=middle.connection.id)
    other.time.FromNanoseconds(middle.time.ToNanoseconds() - 1)
    for place in place_of(middle, id=1), other, pb.Place(time=middle.time):
        found, connection = ask(collector, place, **criteria)
        connection.close()
        assert found == newer
    future = place_of(events[-1])
    future.time.seconds += 3600
    found, connection = ask(collector, future, **criteria)
    connection.close()
    assert found == []


def test_from_what_is_not_shown(collector, events):
    """Another filter does not find it, and has what follows all the same."""
    events, criteria = events
    found, connection = ask(collector, place_of(events[12]), role=[pb.SERVER], **criteria)
    connection.close()
    assert found == []
    found, connection = ask(collector, place_of(events[0]), rport=wire.ports(1))
    connection.close()
    assert found == []


def test_several_of_one_moment(collector, actor):
    """Requests in one segment are events of one time: it begins with the first of them."""
    talk = Talk(actor)
    talk.open()  # of older ones the role is not known
    talk.ask(get("/a") + get("/b") + get("/c"))
    talk.answer(ok())
    criteria = {"category": "http", "port": wire.ports(talk.port), "role": [pb.CLIENT]}
    events = history_of(collector, 4, **criteria)
    assert [event.http.target for event in events] == ["/a", "/b", "/c", "/a"]
    assert len({event.time.ToNanoseconds() for event in events[:3]}) == 1
    found, connection = ask(collector, place_of(events[0]), **criteria)
    connection.close()
    assert found == events
    found, connection = ask(collector, place_of(events[3]), **criteria)
    connection.close()
    assert found == events[3:]


SECOND = {"seconds": 1}
REFUSED = {
    "no time": {"from": pb.Place(id=1)},
    "with last": {"from": pb.Place(time=SECOND), "last": 1},
    "with since": {"from": pb.Place(time=SECOND), "since_ms": 1},
    "before 1970": {"from": pb.Place(time={"seconds": -1})},
    "at its begin": {"from": pb.Place(time={"seconds": 0})},
    "beyond all": {"from": pb.Place(time={"seconds": 2**62})},
    "less than a second": {"from": pb.Place(time={"seconds": 1, "nanos": -1})},
    "more than a second": {"from": pb.Place(time={"seconds": 1, "nanos": 10**9})},
}


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
def test_refused(collector, fields):
    with wire.Connection(collector.socket) as connection:
        connection.send(pb.Request(subscribe=pb.Subscribe(category=["conn"], **fields)))
        error = connection.expect("error")
        assert error.code == pb.Error.INVALID and "from" in error.message, error
        connection.expect_closed()


@pytest.mark.parametrize("deep", [False, True])
def test_unknown_field(collector, deep):
    """Of a place: it might have asked for less."""
    unknown = wire.varint(200 << 3) + b"\1"
    body = wire.nested(1, b"\x08\x01" + unknown) if deep else wire.nested(1, b"\x08\x01") + unknown
    with wire.Connection(collector.socket) as connection:
        connection.send(wire.nested(2, wire.nested(1, b"conn") + wire.nested(10, body)))
        error = connection.expect("error")
        assert error.code == pb.Error.INVALID and "field 200" in error.message, error


def test_without_a_history(start_collector):
    with wire.Connection(start_collector().socket) as connection:
        connection.send(pb.Request(subscribe=pb.Subscribe(
            category=["conn"], **{"from": pb.Place(time=SECOND)})))
        error = connection.expect("error")
        assert error.code == pb.Error.UNAVAILABLE and "--history" in error.message, error
