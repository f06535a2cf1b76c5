# SPDX-License-Identifier: GPL-2.0-only
"""The options of section 4 of doc/interface.md: how it comes out, and when it ends."""

import csv
import json
import os
import pty
import re
import time

import contract
import netwatch_pb2 as pb
from contract_options import EVERYTHING
from contract_world import tries
from harness import ALICE, BOB, CONN, end_process

OUTPUT = {}  # row of the contract -> function that tries it

CSV_HEAD = "time,category,id,laddr,lport,raddr,rport,role,pid,comm,uid,netns,"


def rows_of(text):
    return list(csv.reader(text.splitlines()))


@tries(OUTPUT, "-o table", "table")
def table(world):
    lines = world.list("-o", "table").splitlines()
    assert len(lines) == 4 and lines[0].startswith("TIME"), lines
    assert [line.split()[1:3] for line in lines] == [
        line.split()[1:3] for line in world.list().splitlines()
    ]


@tries(OUTPUT, "compact")
def compact(world):
    lines = world.list("-o", "compact").splitlines()
    assert len(lines) == 3 and all(" conn EXISTING state=" in line for line in lines), lines
    assert sum(f" > 127.0.0.1:{world.port} conn" in line for line in lines) == 1, lines


@tries(OUTPUT, "json")
def json_(world):
    for line in world.list("-o", "json").splitlines():
        assert set(json.loads(line)) == {"time", "connection", "conn"}


@tries(OUTPUT, "csv")
def csv_(world):
    """One header: time, category, the connection's fields, then category.field."""
    head, *rows = rows_of(world.list("-o", "csv"))
    assert ",".join(head).startswith(CSV_HEAD) and len(rows) == 3
    assert "conn.event" in head and "conn.total_retransmits" in head and "lost.count" in head
    assert {len(row) for row in rows} == {len(head)}
    assert {dict(zip(head, row))["conn.event"] for row in rows} == {"EXISTING"}
    assert "\r" not in world.list("-o", "csv")


@tries(OUTPUT, "pb")
def pb_(world):
    """The collector's side from hello to bye, delimited."""
    done = world.run("list", "--port", world.port, "-o", "pb", text=False)
    data, replies = done.stdout, []
    while data:
        length = shift = 0
        while True:
            byte, data = data[0], data[1:]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        replies.append(pb.Reply.FromString(data[:length]))
        data = data[length:]
    kinds = [reply.WhichOneof("reply") for reply in replies]
    assert kinds == ["hello", "event", "event", "event", "bye"], kinds


@tries(OUTPUT, "--fields a,b.c")
def fields_(world):
    for how in "table", "csv":
        text = world.list("-o", how, "--fields", "conn.event,connection.lport")
        assert re.split("[, ]+", text.splitlines()[1].strip()) == ["EXISTING", str(world.port)]
    lines = world.list("-o", "csv", "--fields", "conn.event,laddr,lport").splitlines()
    assert lines[0] == "conn.event,laddr,lport"
    assert f"EXISTING,127.0.0.1,{world.port}" in lines
    assert world.run("list", "--fields", "nonsense").returncode == 2
    for how in "json", "compact", "pb":
        assert world.run("list", "-o", how, "--fields", "laddr").returncode == 2


@tries(OUTPUT, "-H")
def no_header(world):
    for how in "table", "csv":
        for word in "-H", "--no-header":
            assert len(world.list("-o", how, word).splitlines()) == 3


TIMES = {
    "rfc3339": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)",
    "unix": r"\d{10}\.\d+",
    "mono": r"\d+\.\d+",
    "delta": r"\+?\d+\.\d+",
}


@tries(OUTPUT, "--time-format rfc3339|unix|mono|delta")
def time_format(world):
    for name in "rfc3339 unix mono delta".split():
        lines = world.list("-H", "-o", "csv", "--fields", "time", "--time-format", name)
        assert all(re.fullmatch(TIMES[name], line) for line in lines.splitlines()), lines
        first = world.list("-o", "compact", "--time-format", name).split()[0]
        assert re.fullmatch(TIMES[name], first), first
    assert world.run("list", "--time-format", "none").returncode == 2


def on_terminal(world, *options, **environment):
    """What list writes to one."""
    ours, theirs = pty.openpty()
    done = world.run("list", "--port", world.port, *options, stdout=theirs,
                     environment={"TERM": "xterm"} | environment)
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 65536):
            seen += data
    except OSError:  # all was read and nobody writes
        pass
    os.close(ours)
    assert done.returncode == 0 and seen.count(b"\n") >= 4, (done, seen)
    return seen


@tries(OUTPUT, "--color auto|always|never")
def color(world):
    for how in "table", "compact":
        assert "\x1b[" in world.list("-o", how, "--color", "always")
        for option in [], ["--color", "auto"], ["--color", "never"]:
            assert "\x1b" not in world.list("-o", how, *option)
    assert b"\x1b[" in on_terminal(world) and b"\x1b[" in on_terminal(world, "--color", "auto")
    assert b"\x1b" not in on_terminal(world, "--color", "never")
    assert b"\x1b" not in on_terminal(world, TERM="dumb")
    assert world.run("list", "--color", "red").returncode == 2


@tries(OUTPUT, "NO_COLOR")
def no_color(world):
    assert b"\x1b" not in on_terminal(world, NO_COLOR="1")
    assert b"\x1b[" in on_terminal(world, NO_COLOR="")


@tries(OUTPUT, "-q")
def quiet(world):
    """Seen at a hint that is always given: an unmapped uid sees nothing."""
    overflow = int(open("/proc/sys/kernel/overflowuid").read())
    for option, said in ([], True), (["-q"], False):
        done = world.run("subscribe", "-d", 1, "--no-follow", *option, uid=overflow)
        assert done.returncode == 0 and bool(done.stderr) == said, done


@tries(OUTPUT, "-v")
def verbose(world):
    for option, lines in ([], 0), (["-v"], 1), (["--verbose"], 1):
        done = world.run("subscribe", "-d", 1, "--no-follow", *option)
        assert len(re.findall("^subscribed", done.stderr, re.M)) == lines, done


@tries(OUTPUT, "-c, --count N")
def count(world):
    for word in "-c", "--count":
        assert len(world.list("-H", word, 2).splitlines()) == 2


@tries(OUTPUT, "--duration 30s")
def duration(world):
    begin = time.monotonic()
    assert world.run("subscribe", "-d", 1, "--duration", "0.2s").returncode == 0
    assert time.monotonic() - begin >= 0.2


LIFE = ["OPEN", "ESTABLISHED", "CLOSE"]


def remembered(world, port, *options, uid=ALICE):
    """Stages of the client's side that the history tells."""
    done = world.run(*CONN, "-a", "-o", "json", "--no-follow", "-d", port, *options,
                     socket=world.remembering.socket, uid=uid)
    assert done.returncode == 0, done
    return [json.loads(line)["conn"]["event"] for line in done.stdout.splitlines()]


def needs_history(world, *options):
    done = world.run("subscribe", *options)
    assert done.returncode == 78 and "--history" in done.stderr and not done.stdout, done


@tries(OUTPUT, "--last N")
def last(world):
    needs_history(world, "--last", 5)
    collector, port = world.remembering, world.remembered_port
    assert remembered(world, port, "--last", 100) == 2 * LIFE
    assert remembered(world, port, "--last", 1) == ["CLOSE"]
    assert remembered(world, port, "--last", 2, "--since", "1h") == LIFE[1:]
    assert remembered(world, port, "--last", 100, uid=BOB) == []
    port = world.server.listen()["port"]  # and what follows
    kept = world.client.connect(address="127.0.0.1", port=port)["fd"]
    watch = world.start(*CONN, "-v", "-o", "json", "-d", port, "--last", 2,
                        socket=collector.socket).wait_subscribed()
    fd = world.client.connect(address="127.0.0.1", port=port)["fd"]
    watch.wait_events(4)
    for opened in kept, fd:
        world.client.close(fd=opened)
    assert [event["conn"]["event"] for event in watch.stopped_events()] == 2 * LIFE[:2]


@tries(OUTPUT, "--since 5m")
def since(world):
    needs_history(world, "--since", "5m")
    world.remembering
    assert remembered(world, world.remembered_port, "--since", "5m") == 2 * LIFE
    assert remembered(world, world.remembered_port, "--since", "1ms") == []


@tries(OUTPUT, "--no-follow")
def no_follow(world):
    done = world.run(*CONN, "--no-follow", "--port", world.port, "-o", "json")
    assert done.returncode == 0, done
    assert {world.name(json.loads(line)) for line in done.stdout.splitlines()} == EVERYTHING


@tries(OUTPUT, "--interval 1s")
def interval(world):
    """Of tcpinfo only, the default as it is promised, and not below what is."""
    options = ["subscribe", "--events", "tcpinfo", "-d", world.port, "-c", 3, "-o", "json"]
    for words, interval_s in ([], 1), (["--interval", "200ms"], 0.2):
        done = world.run(*options, *words)
        times = [json.loads(line)["time"] for line in done.stdout.splitlines()]
        first, *_, last = (float(time[17:29]) for time in times)
        assert done.returncode == 0 and (last - first) % 60 > 1.8 * interval_s, done
    for words in (["--events", "tcpinfo", "--interval", "99ms"],
                  ["--events", "conn", "--interval", "1s"]):
        done = world.run("subscribe", *words)
        assert done.returncode == 2 and "--interval" in done.stderr and not done.stdout, done


@tries(OUTPUT, "--no-existing")
def no_existing(world):
    done = world.run("subscribe", "--no-existing", "-H", "--port", world.port, "--no-follow")
    assert done.returncode == 0 and not done.stdout, done


@tries(OUTPUT, "--reconnect")
def reconnect(world):
    """Only after a first success; the gap is one event, and what exists is told again."""
    path = str(world.place.new_path("again"))
    assert world.run("subscribe", "--reconnect", socket=path).returncode == 3
    first = world.start_collector(socket=path)
    watch = world.start(*CONN, "-o", "json", "-d", world.port, "--reconnect", socket=path)
    watch.wait_events(1)
    end_process(first.process)
    world.start_collector(socket=path)
    before, lost, after = watch.wait_events(3)
    assert before["conn"] == after["conn"] and before["connection"] == after["connection"]
    assert lost["lost"]["cause"] == "RESTART" and "count" not in lost["lost"]
    assert lost["lost"]["first"] <= lost["lost"]["last"]
    assert watch.stop() == 0, watch


@tries(OUTPUT, "--fail-on-loss")
def fail_on_loss(world):
    """Nothing was lost; the other case is exit code 6."""
    done = world.run("subscribe", "-d", 1, "--fail-on-loss", "--no-follow")
    assert done.returncode == 0, done


@tries(OUTPUT, "--stats")
def stats(world):
    told = contract.codes(re.search(r"^\* `--stats` prints.*?: (.*?), with$",
                                    contract.section(4), re.M)[1])
    done = world.run("subscribe", "-d", 1, "--stats", "--no-follow")
    account = json.loads(done.stderr)
    assert list(account) == [name for name in told if not name.startswith("-")]
    assert account["matched"] == sum(account[name] for name in list(account)[1:-1])


@tries(OUTPUT, "-- COMMAND")
def command(world):
    def run(*words):
        return world.run(*CONN, "--no-existing", "-d", world.port, "-o", "json", "--", *words)

    connect = (
        "import socket; socket.create_connection(('127.0.0.1', %d)); print('done')" % world.port
    )
    done = run("/usr/bin/python3", "-c", connect)
    stages = [json.loads(line)["conn"]["event"] for line in done.stdout.splitlines()]
    assert stages == ["OPEN", "ESTABLISHED"] and done.stderr == "done\n", done
    assert done.returncode == 0
    for words, code in [(["sh", "-c", "exit 7"], 7), (["nw-no-such-program"], 127),
                        (["/etc/passwd"], 126), (["sh", "-c", "kill -TERM $$"], 128 + 15)]:
        assert run(*words).returncode == code, words
