# SPDX-License-Identifier: GPL-2.0-only
"""The wire with a client that behaves badly; after each, the collector serves another one."""

import os
import random
import socket

import pytest

import netwatch_pb2 as pb
import wire
from harness import wait_until
from wire import nested

FRAME_MAX = 4096
RANDOM_CONNECTIONS = 2000


def subscription(**criteria):
    return pb.Request(
        subscribe=pb.Subscribe(category=["conn"], filter=pb.Filter(**criteria))
    )


def expect_error(connection, code):
    error = connection.expect("error")
    assert error.code == code and error.message, error
    connection.expect_closed()
    return error.message


def test_hello(collector):
    with wire.Connection(collector.socket) as first, wire.Connection(collector.socket) as second:
        assert first.hello.major == 1
        assert first.hello.epoch == second.hello.epoch != 0
        assert first.hello.scope == pb.ALL_WITH_HTTP
        assert "conn" in first.hello.category
        assert "netwatch-collector" in first.hello.program


def test_epoch_changes(start_collector):
    epochs = set()
    for _ in range(2):
        with wire.Connection(start_collector().socket) as connection:
            epochs.add(connection.hello.epoch)
    assert len(epochs) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        wire.varint(1 << 32),
        wire.varint((1 << 32) - 1),
        wire.varint(FRAME_MAX + 1),
        wire.varint(1 << 63),
        b"\xff" * 11,
        b"\x80" * 10 + b"\x01",
        wire.frame(b"\xff\xff\xff"),
        wire.varint(FRAME_MAX + 1) + b"x" * (FRAME_MAX + 1),
    ],
    ids=[
        "zero", "2^32", "2^32-1", "4097", "2^63", "endless varint", "long varint", "no message",
        "4097 with body",
    ],
)
@pytest.mark.parametrize("greeted", [True, False], ids=["after hello", "before hello"])
def test_bad_frame(serving, data, greeted):
    with wire.Connection(serving.socket, greet=greeted) as connection:
        connection.socket.sendall(data)
        expect_error(connection, pb.Error.FRAME)


def test_largest_frame(serving):
    """4096 bytes pass: a hello with a long name."""
    name = "n" * (FRAME_MAX - len(pb.Request(hello=pb.Hello(major=1, minor=0, program="n" * 3900))
                              .SerializeToString()) + 3900)
    request = pb.Request(hello=pb.Hello(major=1, minor=0, program=name))
    assert len(request.SerializeToString()) == FRAME_MAX
    with wire.Connection(serving.socket, greet=False) as connection:
        connection.send(request)
        # A string beyond 255 bytes may be refused, but as that, not as a frame.
        reply = connection.reply()
        assert reply.WhichOneof("reply") == "hello" or reply.error.code == pb.Error.LIMIT, reply


def test_byte_by_byte(serving):
    with wire.Connection(serving.socket, greet=False) as connection:
        data = wire.frame(wire.hello()) + wire.frame(pb.Request(status=pb.StatusRequest()))
        for index in range(len(data)):
            connection.socket.sendall(data[index : index + 1])
        assert connection.expect("hello").major == 1
        assert connection.expect("status").version
        assert connection.expect("bye").reason == pb.Bye.DONE


def test_two_in_one_write(serving):
    with wire.Connection(serving.socket, greet=False) as connection:
        connection.socket.sendall(
            wire.frame(wire.hello())
            + wire.frame(subscription(rport=wire.ports(1)))
            + wire.frame(pb.Request(unsubscribe=pb.Unsubscribe()))
        )
        connection.expect("hello")
        # Whoever leaves so early need not be told that it was live.
        reply = connection.reply()
        if reply.HasField("subscribed"):
            reply = connection.reply()
        assert reply.bye.reason == pb.Bye.DONE
        connection.expect_closed()


def test_half_frames(serving):
    """Every prefix of a conversation, then the end."""
    data = wire.frame(wire.hello()) + wire.frame(subscription(rport=wire.ports(80)))
    for length in range(len(data)):
        with wire.Connection(serving.socket, greet=False) as connection:
            connection.socket.sendall(data[:length])
    # Nothing of it may stay.
    wait_until(lambda: len(wire.status(serving.socket).subscription) == 1, "they are gone")


def test_half_closed(serving):
    """A client that says nothing more still gets its answer."""
    with wire.Connection(serving.socket) as connection:
        connection.send(pb.Request(status=pb.StatusRequest()))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.expect("status").version


def test_not_hello_first(serving):
    for request in (
        subscription(),
        pb.Request(status=pb.StatusRequest()),
        pb.Request(list=pb.List()),
        pb.Request(unsubscribe=pb.Unsubscribe()),
    ):
        with wire.Connection(serving.socket, greet=False) as connection:
            connection.send(request)
            expect_error(connection, pb.Error.INVALID)


def test_out_of_order(serving):
    """Hello twice, unsubscribe without subscribe, subscribe twice, an empty request."""
    for request in wire.hello(), pb.Request(unsubscribe=pb.Unsubscribe()):
        with wire.Connection(serving.socket) as connection:
            connection.send(request)
            expect_error(connection, pb.Error.INVALID)
    with wire.Connection(serving.socket) as connection:
        connection.subscribe()
        connection.send(subscription())
        error = connection.until("error")[1]
        assert error.code == pb.Error.INVALID
        connection.expect_closed()


def test_other_versions(serving):
    with wire.Connection(serving.socket, greet=False) as connection:
        connection.send(wire.hello(major=2))
        expect_error(connection, pb.Error.VERSION)
    with wire.Connection(serving.socket, greet=False) as connection:
        connection.send(wire.hello(minor=77))
        assert connection.expect("hello").major == 1


def unknown_field(number, value=5):
    return wire.varint(number << 3) + wire.varint(value)


def test_unknown_filter_is_refused(serving):
    """Ignored, it would show too much; at every depth."""
    category = nested(1, b"conn")
    port_range = nested(1, unknown_field(1, 80) + unknown_field(77))
    bodies = {
        "subscribe": nested(2, category + unknown_field(77)),
        "filter": nested(2, category + nested(2, unknown_field(77))),
        "port set": nested(2, category + nested(2, nested(1, unknown_field(77)))),
        "port range": nested(2, category + nested(2, nested(1, port_range))),
        "prefix": nested(2, category + nested(2, nested(4, nested(1, unknown_field(77))))),
        "numbers": nested(2, category + nested(2, nested(8, unknown_field(77)))),
        "family": nested(2, category + nested(2, unknown_field(7, 5))),
        "role": nested(2, category + nested(2, unknown_field(11, 9))),
        "list": nested(4, nested(1, unknown_field(77))),
        "list itself": nested(4, unknown_field(77)),
    }
    for name, body in bodies.items():
        with wire.Connection(serving.socket) as connection:
            connection.socket.sendall(wire.frame(body))
            error = connection.expect("error")
            assert error.code == pb.Error.INVALID, (name, error)
            connection.expect_closed()


def test_unknown_hello_field_is_skipped(serving):
    """A newer client's hello says more."""
    body = nested(1, wire.hello().hello.SerializeToString() + unknown_field(99))
    with wire.Connection(serving.socket, greet=False) as connection:
        connection.socket.sendall(wire.frame(body))
        assert connection.expect("hello").major == 1


BAD_FILTERS = {
    "port 0": {"rport": wire.ports(0)},
    "port 65536": {"rport": wire.ports(65536)},
    "port 2^32-1": {"rport": wire.ports((1, (1 << 32) - 1))},
    "backwards": {"port": wire.ports((80, 70))},
    "range without first": {"port": pb.PortSet(any=[pb.PortRange(last=7)])},
    "address of 5 bytes": {"addr": pb.PrefixSet(any=[pb.Prefix(address=b"12345", length=8)])},
    "no address": {"addr": pb.PrefixSet(any=[pb.Prefix(length=8)])},
    "IPv4 /33": {"addr": pb.PrefixSet(any=[pb.Prefix(address=b"1234", length=33)])},
    "IPv6 /129": {"raddr": pb.PrefixSet(none=[pb.Prefix(address=b"1" * 16, length=129)])},
}


@pytest.mark.parametrize("criteria", BAD_FILTERS.values(), ids=BAD_FILTERS)
def test_bad_filter(serving, criteria):
    with wire.Connection(serving.socket) as connection:
        connection.send(subscription(**criteria))
        expect_error(connection, pb.Error.INVALID)


def test_long_string(serving):
    with wire.Connection(serving.socket) as connection:
        connection.send(subscription(comm=pb.StringSet(any=["x" * 256])))
        error = connection.expect("error")
        assert error.code in (pb.Error.LIMIT, pb.Error.INVALID), error


def test_unknown_category(serving):
    with wire.Connection(serving.socket) as connection:
        connection.send(pb.Request(subscribe=pb.Subscribe(category=["nonsense"])))
        error = connection.expect("error")
        assert error.code in (pb.Error.INVALID, pb.Error.UNAVAILABLE), error
        assert "nonsense" in error.message
        connection.expect_closed()


def test_hostile_category(serving):
    """What a client sends comes back escaped, if at all."""
    with wire.Connection(serving.socket) as connection:
        connection.socket.sendall(wire.frame(nested(2, nested(1, b"\x1b[2J\xff\n"))))
        body = connection.reply_body()
        assert not {0x1B, 0xFF} & set(body) and b"J\n" not in body, body
        assert pb.Reply.FromString(body).HasField("error")


def test_random_bytes(serving):
    made = random.Random(os.urandom(8))
    requests = [
        wire.frame(wire.hello()), wire.frame(subscription(rport=wire.ports((1, 9)))),
        wire.frame(pb.Request(status=pb.StatusRequest())), wire.frame(pb.Request(list=pb.List())),
    ]
    for _ in range(RANDOM_CONNECTIONS):
        data = bytearray(b"".join(made.choices(requests, k=made.randrange(4))))
        if data and made.random() < 0.7:
            data[made.randrange(len(data))] = made.randrange(256)
        else:
            data += made.randbytes(made.randrange(200))
        with wire.Connection(serving.socket, greet=False) as connection:
            try:
                connection.socket.sendall(data)
                if made.random() < 0.5:
                    connection.socket.settimeout(0.005)
                    connection.socket.recv(1000)
            except OSError:
                pass  # closed in the middle, as it may
    wait_until(lambda: len(wire.status(serving.socket).subscription) == 1, "they are gone")


def test_aborted_connections(serving):
    """Gone before the answer, in the middle of EXISTING, with unread data."""
    for _ in range(300):
        with wire.Connection(serving.socket, greet=False) as connection:
            connection.socket.sendall(
                wire.frame(wire.hello())
                + wire.frame(pb.Request(subscribe=pb.Subscribe(category=["conn"], existing=True)))
            )
    wait_until(lambda: len(wire.status(serving.socket).subscription) == 1, "they are gone")


@pytest.mark.own_collector
def test_shutdown_says_bye(collector):
    with wire.Connection(collector.socket) as watch, wire.Connection(collector.socket) as idle:
        watch.subscribe(rport=wire.ports(1))
        collector.stop()
        bye = watch.until("bye")[1]
        assert bye.reason == pb.Bye.SHUTDOWN
        assert bye.totals.matched == bye.totals.delivered
        watch.expect_closed()
        try:
            assert idle.reply().bye.reason == pb.Bye.SHUTDOWN
        except wire.Closed:
            pass


def test_list(collector, actor):
    server = actor()
    port = server.listen()["port"]
    told = actor().connect(address="127.0.0.1", port=port)
    with wire.Connection(collector.socket) as connection:
        connection.send(
            pb.Request(list=pb.List(filter=pb.Filter(rport=wire.ports(port))))
        )
        events, bye = connection.until("bye")
        assert bye.reason == pb.Bye.DONE
        connection.expect_closed()
    assert [event.connection.id for event in events] == [told["id"]]
    assert events[0].conn.event == pb.Conn.EXISTING
    assert events[0].conn.state == pb.Tcp.ESTABLISHED


def test_status(collector, actor):
    server = actor()
    port = server.server()
    with wire.Connection(collector.socket) as watch:
        watch.subscribe(rport=wire.ports(port))
        actor().connects(count=4, address="127.0.0.1", port=port)
        watch.events(12)
        shown = wire.status(collector.socket)
        assert shown.scope == pb.ALL_WITH_HTTP
        assert shown.kernel == os.uname().release
        conn = [entry for entry in shown.category if entry.name == "conn"][0]
        assert conn.available and conn.hook
        entry, = shown.subscription
        assert (entry.uid, entry.pid, list(entry.category)) == (0, os.getpid(), ["conn"])
        assert entry.totals.matched == entry.totals.delivered == 12
        assert entry.queue_bytes == 0
