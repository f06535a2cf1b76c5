# SPDX-License-Identifier: GPL-2.0-only
"""The client from outside: exit codes, ends, formats, and messages that name the thing."""

import json
import os
import re
import select
import signal
import subprocess
import time

import pytest
from google.protobuf import json_format

import netwatch_pb2 as pb
from harness import ALICE, CONN, DEADLINE_S, wait_until

HOSTILE = b'\x1b[2J"\n\xff\xe2\x80\xae\\z'  # ESC, quote, newline, no UTF-8, U+202E
HOSTILE_JSON = '\x1b[2J"\n\\xff\u202e\\z'


@pytest.fixture
def port(actor):
    server = actor()
    number = server.server(workers=8)  # some of whom wait for held connections
    server.drop_served()
    return number


# ------------------------------------------------------------------ the ends


def test_head(collector, subscribe, actor, port):
    """`| head -1`: the reader goes, and the client dies of SIGPIPE though nothing comes."""
    watch = subscribe("--no-existing", "--dport", port, uid=ALICE, stdout=subprocess.PIPE)
    actor().connects(count=1, address="127.0.0.1", port=port)
    watch.wait_events(1)
    watch.kill()

    read_end, write_end = os.pipe()
    watch = subscribe("--no-existing", "--dport", port, uid=ALICE, stdout=write_end)
    os.close(write_end)
    actor().connects(count=1, address="127.0.0.1", port=port)
    assert select.select([read_end], [], [], DEADLINE_S)[0]
    os.close(read_end)
    assert watch.wait() == -signal.SIGPIPE, watch


def test_head_before_any_event(subscribe, port):
    read_end, write_end = os.pipe()
    watch = subscribe("--dport", port, uid=ALICE, stdout=write_end)
    os.close(write_end)
    os.close(read_end)
    assert watch.wait() == -signal.SIGPIPE, watch


def test_head_in_a_shell(place, collector, actor, port):
    """The real thing, in a shell, with table and header."""
    actor().connect(address="127.0.0.1", port=port)
    done = subprocess.run(
        ["bash", "-c", f'"$0" --socket "$1" --dport {port} | head -1; echo "${{PIPESTATUS[0]}}"',
         place.client, collector.socket],
        capture_output=True, text=True, timeout=DEADLINE_S, user=ALICE, group=ALICE, extra_groups=[],
        env=place.environment, cwd="/",
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and lines[1] == str(128 + signal.SIGPIPE), done


def test_full_disk(netwatch, collector, actor, port):
    actor(uid=ALICE).connect(address="127.0.0.1", port=port)
    for how in ["-o", "json"], ["-o", "table"], ["-o", "compact"]:
        for command in "subscribe", "list":
            with open("/dev/full", "wb") as full:
                watch = netwatch(command, "--dport", port, *how, uid=ALICE, stdout=full)
                assert watch.wait() == 5, watch
                assert "space" in watch.err.text(), watch


@pytest.mark.own_collector
def test_collector_killed(collector, subscribe, port):
    watch = subscribe("--dport", port, uid=ALICE)
    collector.kill()
    assert watch.wait() == 4, watch
    assert watch.err.text().splitlines()[-1] != "", watch


@pytest.mark.own_collector
def test_collector_ends(collector, subscribe, port):
    """SIGTERM: Bye to everybody; the client did not ask for the end."""
    watches = [subscribe("--dport", port, uid=ALICE), subscribe("--dport", port, uid=0)]
    collector.stop()
    assert [watch.wait() for watch in watches] == [4, 4]


def test_no_collector(netwatch, place):
    for command in ["subscribe"], ["list"], ["status"], []:
        missing = str(place.path / "no-such.sock")
        client = netwatch(*command, socket=missing)
        assert client.wait() == 3, client
        assert missing in client.err.text()
        assert not client.out.lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_well(subscribe, actor, port, number):
    watch = subscribe("--no-existing", "--dport", port, uid=ALICE)
    actor().connects(count=3, address="127.0.0.1", port=port)
    watch.wait_events(6)
    assert watch.stop(number) == 0
    assert len(watch.events()) == 6


def test_what_is_on_its_way_comes(subscribe, actor, port):
    """Everything up to the signal is printed, however soon it comes."""
    client = actor()
    for _ in range(20):
        watch = subscribe("--no-existing", "--dport", port, uid=ALICE)
        client.connects(count=50, address="127.0.0.1", port=port)
        assert len(watch.stopped_events()) == 100


def test_count(subscribe, actor, port):
    client = actor()
    watch = subscribe("--no-existing", "--dport", port, "-c", 5, uid=ALICE)
    client.connects(count=20, address="127.0.0.1", port=port)
    assert watch.wait() == 0
    assert len(watch.events()) == 5


def test_count_of_existing(netwatch, actor, port):
    client = actor()
    for _ in range(3):
        client.connect(address="127.0.0.1", port=port)
    watch = netwatch(*CONN, "--dport", port, "--count", 2, "-o", "json", uid=ALICE)
    assert watch.wait() == 0
    assert [event["conn"]["event"] for event in watch.events()] == ["EXISTING"] * 2


def test_duration(netwatch, port):
    begin = time.monotonic()
    watch = netwatch("subscribe", "--dport", port, "--duration", "500ms", uid=ALICE)
    assert watch.wait() == 0
    assert time.monotonic() - begin >= 0.5


def test_no_existing(subscribe, actor, port):
    client = actor()
    held = client.connect(address="127.0.0.1", port=port)
    with_them = subscribe("--dport", port, uid=ALICE)
    without = subscribe("--no-existing", "--dport", port, uid=ALICE)
    told = client.connect(address="127.0.0.1", port=port)
    with_them.wait_events(3)
    without.wait_events(2)
    assert {int(event["connection"]["id"]) for event in with_them.stopped_events()} == {
        held["id"], told["id"]
    }
    assert {int(event["connection"]["id"]) for event in without.stopped_events()} == {told["id"]}


def test_subscribed_comes_after_existing(netwatch, actor, port):
    """Both streams in one pipe: EXISTING first, then the line."""
    actor(uid=ALICE).connect(address="127.0.0.1", port=port)
    watch = netwatch(
        *CONN, "-v", "-o", "json", "--dport", port, "--no-follow", uid=ALICE,
        stderr=subprocess.STDOUT,
    )
    assert watch.wait() == 0
    existing, live = watch.out.lines
    assert json.loads(existing)["conn"]["event"] == "EXISTING"
    assert live.startswith(b"subscribed")


def test_quiet(netwatch, port):
    watch = netwatch("subscribe", "-q", "--dport", port, "--duration", "200ms", uid=ALICE)
    assert watch.wait() == 0
    assert watch.err.text() == ""


def test_lines_are_out_at_once(subscribe, actor, port):
    """Without any flag, into a pipe, whole lines."""
    client = actor()
    for how in "table", "compact":
        read_end, write_end = os.pipe()
        watch = subscribe(
            "--no-existing", "--dport", port, "-o", how, uid=ALICE, stdout=write_end
        )
        os.close(write_end)
        seen = b""
        for _ in range(3):
            told = client.connects(count=1, address="127.0.0.1", port=port)
            while seen.count(str(told[0]["lport"]).encode()) < 2:
                assert select.select([read_end], [], [], DEADLINE_S)[0], seen
                seen += os.read(read_end, 65536)
            assert seen.endswith(b"\n")
        watch.kill()
        os.close(read_end)


def test_default_command_is_subscribe(netwatch, actor, port):
    client = actor()
    client.connect(address="127.0.0.1", port=port)
    watch = netwatch("-d", port, "-v", "--events", "conn", "-o", "json", uid=ALICE)
    watch.wait_subscribed()
    client.connects(count=1, address="127.0.0.1", port=port)
    watch.wait_events(3)
    assert [event["conn"]["event"] for event in watch.stopped_events()] == [
        "EXISTING", "OPEN", "ESTABLISHED"
    ]


# ------------------------------------------------------------------- formats


def test_json_reads_back(subscribe, actor, port):
    """Each line is the ProtoJSON of an Event; ids are strings, counters plain numbers."""
    client = actor()
    client.connect(address="127.0.0.1", port=port)
    watch = subscribe("-a", "--port", port, uid=ALICE)
    client.connects(count=10, address="127.0.0.1", port=port, payload=100)
    watch.wait_events(2 + 1 + 50)
    events = watch.stopped_events()
    for line, event in zip(watch.out.lines, events):
        message = json_format.Parse(line, pb.Event())
        again = json_format.MessageToDict(message, preserving_proto_field_name=True)
        assert again["connection"] == event["connection"]
        assert message.time.ToNanoseconds() > 0
        assert isinstance(event["connection"]["id"], str)
        for counter in "duration_us", "bytes_acked", "handshake_us":
            assert isinstance(event["conn"].get(counter, 0), int)
        assert set(event) == {"time", "connection", "conn"}
        assert "-" not in event["connection"].values()


def test_table_has_one_header(netwatch, actor, port):
    client = actor()
    client.connect(address="127.0.0.1", port=port)
    client.connect(address="127.0.0.1", port=port)
    listed = netwatch("list", "--dport", port, uid=ALICE)
    assert listed.wait() == 0
    plain = [line.decode() for line in listed.out.lines]
    assert len(plain) == 3 and str(port) not in plain[0], plain
    assert all(str(port) in line and str(client.pid) in line for line in plain[1:])


def test_hostile_name(netwatch, subscribe, collector, actor, port):
    """Nothing of a name reaches a terminal raw, in any format, and JSON keeps it whole."""
    client = actor(comm=HOSTILE)
    assert client.comm == HOSTILE
    # Held open: list shows it in every format.
    client.connect(address="127.0.0.1", port=port)
    watch = subscribe("-a", "--no-existing", "--dport", port, uid=ALICE)
    client.connects(count=1, address="127.0.0.1", port=port)
    watch.wait_events(3)
    assert [event["connection"]["comm"] for event in watch.stopped_events()] == [HOSTILE_JSON] * 3
    assert no_raw(watch)
    for how in "table", "compact", "json":
        listed = netwatch("list", "--dport", port, "-o", how, uid=ALICE)
        assert listed.wait() == 0, listed
        assert no_raw(listed), listed.out.lines
        text = b"".join(listed.out.lines)
        assert len(text.splitlines()) == (2 if how == "table" else 1), text
        if how != "json":
            assert rb"\x1b[2J" in text and rb"\x0a" in text and rb"\u{202e}" in text, text


def no_raw(client):
    """No control characters but the line's end, no bidi override."""
    text = b"".join(client.out.lines)
    return not re.search(rb"[\x00-\x09\x0b-\x1f\x7f\xff]", text) and "\u202e".encode() not in text


def test_long_name_is_cut(subscribe, actor, port):
    """As the kernel does with a name, and it is said."""
    client = actor(comm=b"fifteen-letters")
    watch = subscribe("--no-existing", "--comm", "fifteen-letters-and-more", "--dport", port)
    assert "15" in watch.err.text(), watch
    client.connects(count=1, address="127.0.0.1", port=port)
    watch.wait_events(2)
    assert watch.stop() == 0


def test_status(netwatch, subscribe, port):
    watch = subscribe("--dport", port, uid=ALICE)
    for uid in ALICE, 0:
        status = netwatch("status", uid=uid)
        assert status.wait() == 0
        text = b"".join(status.out.lines).decode()
        assert os.uname().release in text and "conn" in text and str(watch.pid) in text, text


# --------------------------------------------------------------- bad options

BAD = {
    "unknown option": (["--nonsense"], "nonsense"),
    "port 0": (["--dport", "0"], "0"),
    "port too high": (["--sport", "65536"], "65536"),
    "range backwards": (["--port", "80-70"], "80-70"),
    "port by name": (["-d", "http"], "http"),
    "no port": (["-d", ""], "dport"),
    "half a list": (["-d", "80,"], "dport"),
    "half a range": (["-d", "80-"], "80-"),
    "spaces": (["-d", "80 81"], "80 81"),
    "negative port": (["-d", "-5"], "-5"),
    "bad CIDR": (["--addr", "10.0.0.0/33"], "10.0.0.0/33"),
    "bad IPv6 CIDR": (["--raddr", "::/129"], "::/129"),
    "no address": (["--laddr", "localhost"], "localhost"),
    "empty prefix": (["--laddr", "10.0.0.0/"], "10.0.0.0/"),
    "unknown category": (["--events", "nonsense"], "nonsense"),
    "role": (["--role", "peer"], "peer"),
    "pid": (["--pid", "x12"], "x12"),
    "unknown user": (["--uid", "nw-no-such-user"], "nw-no-such-user"),
    "uid too high": (["--uid", "99999999999"], "99999999999"),
    "format": (["-o", "yaml"], "yaml"),
    "count": (["-c", "many"], "many"),
    "count 0": (["-c", "-1"], "-1"),
    "duration": (["--duration", "5x"], "5x"),
    "namespace": (["--netns", "nw-no-such-namespace"], "nw-no-such-namespace"),
    "no namespace": (["--netns", "/etc/passwd"], "/etc/passwd"),
    "namespace of pids": (["--netns", "/proc/self/ns/pid"], "/proc/self/ns/pid"),
    "no argument": (["--dport"], "dport"),
    "argument": (["80"], "80"),
}


@pytest.mark.parametrize("options, named", BAD.values(), ids=BAD)
def test_bad_option(netwatch, collector, options, named):
    """Exit 2 without a word on stdout; the message names the thing."""
    client = netwatch("subscribe", *options, uid=ALICE)
    assert client.wait() == 2, client
    assert named in client.err.text(), client
    assert b"".join(client.out.lines) == b""


@pytest.mark.parametrize("ports", [65, 2000])
def test_too_many_ports(netwatch, collector, ports):
    """A limit of the collector, told by it, or where not even the request fits."""
    client = netwatch("subscribe", "--dport", ",".join(map(str, range(1, ports + 1))), uid=ALICE)
    assert client.wait() == 1, client
    assert "64 ports" in client.err.text(), client
    assert b"".join(client.out.lines) == b""


def test_unknown_command(netwatch, place):
    client = netwatch("subscribed", socket="/nowhere")
    assert client.wait() == 2
    assert "subscribed" in client.err.text()


@pytest.mark.parametrize("word", ["--help", "-?", "--version", "--usage"])
def test_help_needs_no_collector(netwatch, word):
    client = netwatch(word, socket="/nowhere", uid=ALICE)
    assert client.wait() == 0
    assert b"netwatch" in b"".join(client.out.lines)
    assert not client.err.lines


def test_negative_time_is_no_hang(netwatch, collector):
    """A count of a quiet stream together with a duration ends."""
    client = netwatch("subscribe", "--dport", 1, "-c", 1, "--duration", "200ms", uid=ALICE)
    assert client.wait() == 0
    wait_until(lambda: not collector.links(), "the links are gone")
