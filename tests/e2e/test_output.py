# SPDX-License-Identifier: GPL-2.0-only
"""What comes out: the same events in each format, with losses, times and headers."""

import time
from decimal import Decimal

import pytest
from google.protobuf import json_format

import netwatch_pb2 as pb
from formats import ALL, flat, frames, kinds, rows
from harness import ALICE, BOB, CONN

EVENTS = *CONN, "-v", "--no-existing"


@pytest.fixture
def watch(netwatch, traffic):
    """Starts a subscriber of the traffic for each list of options, runs it, ends them."""

    def run(*lists, **options):
        clients = [
            netwatch(*EVENTS, "-a", "--port", traffic.ports, *more, uid=ALICE, **options)
            for more in lists
        ]
        for client in clients:
            client.wait_subscribed()
        traffic.run()
        for client in clients:
            assert client.stop() == 0, client
        return clients

    return run


# ------------------------------------------------------------ formats agree


def test_csv_and_pb_are_json(watch):
    json, table, raw = watch(["-o", "json"], ["-o", "csv"], ["-o", "pb"])
    events = json.events()
    assert len(events) == ALL
    assert {event["conn"]["event"] for event in events} == {
        "OPEN", "ESTABLISHED", "CLOSE", "FAILED"
    }
    assert {event["connection"]["laddr"] for event in events} == {"127.0.0.1", "::1"}
    assert rows(table) == [flat(event) for event in events]

    replies = frames(raw)
    assert kinds(replies) == ["hello", "subscribed"] + ["event"] * ALL + ["bye"]
    assert replies[0].hello.epoch and "conn" in replies[0].hello.category
    assert replies[-1].bye.totals.matched == ALL
    for line, reply in zip(json.out.lines, replies[2:]):
        message = json_format.Parse(line, pb.Event())
        message.connection.ClearField("cgroup")  # the client's own addition
        assert message == reply.event


def test_pb_has_existing_before_subscribed(netwatch, traffic):
    client = netwatch(
        *CONN, "-o", "pb", "--no-follow", "--port", traffic.ports, uid=ALICE
    )
    assert client.wait() == 0
    replies = frames(client)
    assert kinds(replies) == ["hello"] + ["event"] * (len(replies) - 3) + ["subscribed", "bye"]
    assert {reply.event.conn.event for reply in replies[1:-2]} == {pb.Conn.EXISTING}
    assert len(replies) - 3 >= 2 * 3  # listeners, and both ends of what stays


def test_list_in_each_format(netwatch, traffic):
    def run(how):
        client = netwatch("list", "--port", traffic.ports, "-o", how, uid=ALICE)
        assert client.wait() == 0, client
        return client

    def endpoints(event):
        return event["laddr"], int(event["lport"]), event.get("raddr")

    json = [event["connection"] for event in run("json").events()]
    wanted = sorted(map(endpoints, json), key=str)
    assert {"127.0.0.1", "::1"} == {event["laddr"] for event in json}
    assert sorted(map(endpoints, rows(run("csv"))), key=str) == wanted
    replies = frames(run("pb"))
    assert kinds(replies) == ["hello"] + ["event"] * len(json) + ["bye"]
    ids = sorted(int(event["id"]) for event in json)
    assert sorted(reply.event.connection.id for reply in replies[1:-1]) == ids
    for how, header in ("table", 1), ("compact", 0):
        lines = [line.decode() for line in run(how).out.lines]
        assert len(lines) == header + len(json)
        for event in json:
            local = "[{laddr}]:{lport}" if ":" in event["laddr"] else "{laddr}:{lport}"
            assert any(local.format(**event) in line for line in lines)


# ------------------------------------------------------------------- losses


LOST_ROW = {
    "category": "lost", "lost.cause": "KERNEL_RING", "lost.count": "5",
    "lost.first": "1970-01-01T00:16:40.000000000Z", "lost.last": "1970-01-01T00:16:41.000000000Z",
}


def told(client):
    """Whether the loss is on stderr, in whole."""
    lines = [line for line in client.err.text().splitlines() if "lost" in line]
    text = "netwatch: events were lost: cause=KERNEL_RING count=5 first={lost.first} " + (
        "last={lost.last}"
    )
    for name, value in LOST_ROW.items():
        text = text.replace(f"{{{name}}}", value)
    assert lines in ([], [text]), lines
    return bool(lines)


def run_stub(netwatch, stub, *options, **more):
    client = netwatch(*CONN, *options, socket=stub.path, **more)
    peer = stub.live()
    peer.event(connection=1)
    peer.lost()
    peer.event(connection=2)
    peer.bye(reason=pb.Bye.SHUTDOWN)
    assert client.wait() == 4, client
    return client


@pytest.mark.parametrize(
    "fields, stderr",
    [(None, False), ("category,id", False), ("id,lost", False), ("id,lost.count", False),
     ("id,time,conn", True)],
)
def test_loss_in_csv(netwatch, stub, fields, stderr):
    """A row at its place, or a line on stderr when no column could tell."""
    client = run_stub(netwatch, stub, "-o", "csv", *(["--fields", fields] if fields else []))
    assert told(client) == stderr
    between = rows(client)
    assert [row.get("id") for row in between] == (["1", "2"] if stderr else ["1", None, "2"])
    if not stderr:
        names = set(client.out.lines[0].decode().strip().split(","))
        assert between[1] == {k: v for k, v in LOST_ROW.items() if k in names}


@pytest.mark.parametrize("how", ["table", "compact"])
def test_loss_beside_lines(netwatch, stub, how):
    """Also with colours: what is on stderr has none."""
    client = run_stub(netwatch, stub, "-o", how, "--color", "always", "-q")
    assert told(client)
    assert b"KERNEL" not in b"".join(client.out.lines)


def test_loss_in_pb(netwatch, stub):
    client = run_stub(netwatch, stub, "-o", "pb")
    assert not told(client)
    replies = frames(client)
    assert kinds(replies) == ["hello", "subscribed", "event", "event", "event", "bye"]
    assert replies[3].event.lost.count == 5
    assert replies[-1].bye.reason == pb.Bye.SHUTDOWN


# -------------------------------------------------------------------- times


def test_time_formats(watch):
    begin, begin_mono = time.time(), time.monotonic()
    json, unix, mono, delta, table, compact = watch(
        ["-o", "json"],
        *(["-o", "csv", "--fields", "time,id", "--time-format", how]
          for how in ("unix", "mono", "delta")),
        ["-H", "--fields", "time,id", "--time-format", "rfc3339"],
        ["-o", "compact", "--time-format", "unix"],
    )
    end, end_mono = time.time(), time.monotonic()
    stamps = [event["time"] for event in json.events()]
    unix, mono, delta = ([Decimal(row["time"]) for row in rows(one)] for one in (unix, mono, delta))
    assert len(stamps) == ALL
    assert all(begin <= stamp <= end for stamp in unix)
    # parts of a second are too many for a float
    assert [f"{stamp % 1:.9f}"[1:] for stamp in unix] == [stamp[19:-1] for stamp in stamps]
    assert [
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(stamp))) for stamp in unix
    ] == [stamp[:19] for stamp in stamps]
    assert all(begin_mono - 0.1 <= stamp <= end_mono + 0.1 for stamp in mono)
    assert len({one - other for one, other in zip(unix, mono)}) == 1
    assert delta == [0] + [after - before for before, after in zip(unix, unix[1:])]
    assert [line.split()[0].decode() for line in table.out.lines] == stamps
    assert [Decimal(line.split()[0].decode()) for line in compact.out.lines] == unix


# ------------------------------------------------------------------ headers


def test_header_or_none(netwatch, traffic):
    def first(*options):
        client = netwatch("list", "--port", traffic.ports, *options, uid=ALICE)
        assert client.wait() == 0
        return client.out.lines[0].decode()

    assert first("-o", "csv").startswith("time,category,id,laddr,lport,raddr,rport,role,pid,comm")
    assert first().split()[:2] == ["TIME", "CATEGORY"]
    assert first("--fields", "pid,conn.state") == "PID     CONN.STATE\n"
    assert first("-o", "csv", "--fields", "conn.state,connection.pid") == "conn.state,pid\n"
    for options in ["-H"], ["-H", "-o", "csv"], ["--no-header", "--fields", "time,pid"]:
        assert not first(*options).lower().startswith("time")


@pytest.mark.parametrize("how", ["table", "csv", "pb", "json", "compact"])
def test_refused_prints_nothing(netwatch, collector, how):
    """Neither header nor hello."""
    for options, code, word in (
        (["--uid", BOB], 77, "uid"),
        (["--last", 5], 78, "--history"),
        (["--since", "5m"], 78, "--history"),
    ):
        client = netwatch("subscribe", "-o", how, *options, uid=ALICE)
        assert client.wait() == code, client
        assert not client.out.lines and word in client.err.text(), client


@pytest.mark.parametrize("how", ["table", "csv", "pb", "json", "compact"])
def test_not_offered_prints_nothing(netwatch, stub, how):
    """What the collector does not have: the stub has conn alone."""
    client = netwatch("subscribe", "--events", "packet", "-o", how, socket=stub.path)
    with stub.accept() as peer:
        peer.say_hello()
        assert client.wait() == 78, client
    assert not client.out.lines and '"packet"' in client.err.text(), client


def test_header_without_events(netwatch, collector):
    for how, count in ("table", 1), ("csv", 1), ("json", 0), ("compact", 0):
        client = netwatch("list", "--port", 1, "-o", how, uid=ALICE)
        assert client.wait() == 0
        assert len(client.out.lines) == count
    client = netwatch("list", "--port", 1, "-o", "pb", uid=ALICE)
    assert client.wait() == 0 and kinds(frames(client)) == ["hello", "bye"]
