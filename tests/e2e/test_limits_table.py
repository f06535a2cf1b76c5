# SPDX-License-Identifier: GPL-2.0-only
"""The table of limits: each at its value, where it is accepted, and one beyond, where it is
refused with its own code and a sentence that names it. Root is exempt where the table says so.
(What may be in one filter: hostile_wire.py; queues: test_readers.py, unit test_subscription.)"""

import contextlib
import os
from dataclasses import dataclass, field

import pytest

import netwatch_pb2 as pb
import wire
from harness import ALICE, BOB, Collector, wait_until

USERS = range(ALICE, ALICE + 10)
PEERS, PEERS_OF_USERS, PEERS_OF_ONE = 256, 240, 32
FILTERS, FILTERS_OF_USERS, FILTERS_OF_ONE = 64, 60, 16


@dataclass
class Limit:
    name: str
    accepted: list  # (uid, how many), in order
    refused: int  # uid of one more
    word: str  # of the refusal
    served: list = field(default_factory=list)  # uids that are served all the same


CONNECTIONS = [
    Limit("of one user", [(ALICE, PEERS_OF_ONE)], ALICE, f"uid {ALICE} has 32", [BOB, 0]),
    Limit("of root", [(0, PEERS_OF_ONE + 8), (ALICE, 1)], None, "", [0, ALICE]),
    Limit("of all users", [(uid, 30) for uid in USERS[:8]], USERS[8], "240 connections", [0]),
    Limit("of all users and root", [(uid, 30) for uid in USERS[:8]] + [(0, 16)], 0,
          "256 connections"),  # fmt: skip
    Limit("of root alone", [(0, PEERS)], 0, "256 connections"),
    Limit("of users beside root", [(0, PEERS_OF_USERS)], ALICE, "240 connections", [0]),
]
DISTINCT_FILTERS = [
    Limit("of one user", [(ALICE, FILTERS_OF_ONE)], ALICE, f"uid {ALICE} has 16", [BOB, 0]),
    Limit("of root", [(0, FILTERS_OF_ONE + 8), (ALICE, 1)], None, "", [0, ALICE]),
    Limit("of all users", [(uid, 15) for uid in USERS[:4]], USERS[4], "all 64 filters", [0]),
    Limit("of all users and root", [(uid, 15) for uid in USERS[:4]] + [(0, 4)], 0,
          "all 64 filters"),  # fmt: skip
    Limit("of root alone", [(0, FILTERS)], 0, "all 64 filters"),
]


def count_descriptors(collector):
    return len(os.listdir(f"/proc/{collector.pid}/fd"))


@pytest.fixture(scope="module")
def idle(request):
    """A collector, and how many descriptors it has when nobody is there."""
    made = Collector(request.config.netwatch_place)
    with wire.Connection(made.socket) as watch:
        watch.subscribe()
        watch.unsubscribe()
    wait_until(lambda: not made.links(), "nobody is there")
    yield made, count_descriptors(made)
    made.stop()


@pytest.fixture
def collector(idle):
    """That of the module, with nobody there again afterwards."""
    yield idle[0]
    wait_until(lambda: count_descriptors(idle[0]) == idle[1], "all are gone")


def expect_refusal(connection, code, word):
    error = connection.expect("error")
    assert error.code == code and word in error.message, error
    connection.expect_closed()


def expect_busy(path, uid, word):
    with wire.Connection(path, uid=uid, greet=False) as late:
        expect_refusal(late, pb.Error.BUSY, word)


@pytest.mark.parametrize("limit", CONNECTIONS, ids=lambda limit: limit.name)
def test_connections(collector, limit):
    path = collector.socket
    with contextlib.ExitStack() as crowd:
        for uid, count in limit.accepted:
            for _ in range(count):
                crowd.enter_context(wire.Connection(path, uid=uid))
        if limit.refused is not None:
            for _ in range(3):
                expect_busy(path, limit.refused, limit.word)
        for uid in limit.served:
            wire.Connection(path, uid=uid).close()


def subscribe_all(stack, path, uid, count, first=1):
    """So many distinct filters, at once."""
    made = [stack.enter_context(wire.Connection(path, uid=uid)) for _ in range(count)]
    for index, watch in enumerate(made):
        criteria = pb.Filter(rport=wire.ports(first + index))
        watch.send(pb.Request(subscribe=pb.Subscribe(category=["conn"], filter=criteria)))
    return made


@pytest.mark.parametrize("limit", DISTINCT_FILTERS, ids=lambda limit: limit.name)
def test_distinct_filters(collector, limit):
    path = collector.socket
    with contextlib.ExitStack() as crowd:
        for uid, count in limit.accepted:
            for watch in subscribe_all(crowd, path, uid, count):
                watch.expect("subscribed")
        if limit.refused is not None:
            for watch in subscribe_all(crowd, path, limit.refused, 3, first=1000):
                expect_refusal(watch, pb.Error.LIMIT, limit.word)
        for uid in limit.served:
            subscribe_all(crowd, path, uid, 1, first=2000)[0].expect("subscribed")


def test_shared_and_left_filters(collector):
    """One that is in use costs nothing; one that is left may be had again, another one too."""
    with contextlib.ExitStack() as crowd:
        watches = subscribe_all(crowd, collector.socket, ALICE, FILTERS_OF_ONE)
        watches += subscribe_all(crowd, collector.socket, ALICE, FILTERS_OF_ONE - 4)
        for watch in watches:
            watch.expect("subscribed")
        watches[0].unsubscribe()
        watches[FILTERS_OF_ONE - 1].unsubscribe()  # the last one with its filter
        for first in 1, 1000:
            (again,) = subscribe_all(crowd, collector.socket, ALICE, 1, first)
            again.expect("subscribed")
        (refused,) = subscribe_all(crowd, collector.socket, ALICE, 1, 2000)
        expect_refusal(refused, pb.Error.LIMIT, f"uid {ALICE} has 16")


FRAMES = {
    "a frame of 4096 bytes": (4096, None),
    "a frame of 4097 bytes": (4097, "more than 4096"),
    "a frame of nothing": (0, "no length"),
}


@pytest.mark.parametrize("size, word", FRAMES.values(), ids=FRAMES)
def test_frames(collector, size, word):
    """A hello with an unknown field that fills it, or nothing."""
    start = pb.Hello(major=1).SerializeToString()
    rest = size - len(start) - 3 - 4  # tags and lengths of two bytes
    body = start + b"\xea\x04" + wire.varint(rest) + b"x" * rest if size else b""
    data = b"\x0a" + wire.varint(len(body)) + body if size else b""
    assert len(data) == size
    with wire.Connection(collector.socket, greet=False) as connection:
        connection.send(data)
        if word:
            expect_refusal(connection, pb.Error.FRAME, word)
        else:
            assert connection.expect("hello").major == 1
