# SPDX-License-Identifier: GPL-2.0-only
"""Hundreds of hostile inputs. Each gets its own answer, and none costs others an event: a
subscriber with steady traffic misses nothing and is told of everything at once."""

import contextlib
import dataclasses
import os
import resource
import socket
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

import hostile_client
import hostile_wire
import netwatch_pb2 as pb
import wire
from harness import DEADLINE_S, SANITIZED, SERVICE_USER, Actor, Collector, free_port, wait_until

LATE_S = 4.5  # on a busy machine, less than any deadline; else it takes some milliseconds
PACE_S = 0.02
STARVED_CONNECTS, STARVED_BURST = 3000, 30  # a burst fits into a socket in whatever pieces


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
            thread.join(DEADLINE_S)
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


def start_program(program, run, args, tmp_path):
    """With files as streams, so that nothing depends on a reader."""
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        return subprocess.Popen(
            [program.encode(), *(arg.encode("latin-1") for arg in args)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=hostile_client.ENV | run.environment,
            preexec_fn=hostile_client.prepare(run),
            cwd="/",
        )


def check_said(run, tmp_path):
    """stdout and stderr; both printable whatever was given."""
    out, err = ((tmp_path / name).read_text() for name in ("out", "err"))
    said = f"said {out!r} {err!r}"
    if not set(run.closed + run.full) & {2}:
        assert run.word in err, said
        assert run.code == 0 or err, said
    assert run.out in out, said
    assert all(line.isprintable() for line in err.splitlines()), said


def run_program(program, run, socket, tmp_path):
    args = [word for arg in run.args for word in (["--socket", socket] if arg == "SOCKET" else [arg])]
    process = start_program(program, run, args, tmp_path)
    try:
        code = process.wait(DEADLINE_S)
    finally:
        process.kill()
        process.wait()
    assert code == run.code, (code, (tmp_path / "err").read_text())
    check_said(run, tmp_path)


@pytest.mark.parametrize("run", hostile_client.RUNS, ids=lambda run: run.name)
def test_client(watched, place, run, tmp_path):
    run_program(place.client, run, watched.collector.socket, tmp_path)


def starts(place, size):
    """Whether the client, its libraries included, can start with so many bytes of data."""
    done = subprocess.run([place.client, "--version"], capture_output=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (size, size)))  # fmt: skip
    return done.returncode == 0


@pytest.mark.skipif(SANITIZED, reason="a sanitizer takes memory of its own")
def test_client_without_memory(watched, place, tmp_path):
    """It starts, and what it needs beyond that is not there."""
    least = next(size for size in range(200_000, 4_000_000, 10_000) if starts(place, size))
    for more in 0, 20_000, 40_000, 100_000:
        run = hostile_client.Run(f"{more} bytes more", ["status", "SOCKET"], 1, "memory",
                                 limit=(resource.RLIMIT_DATA, least + more))  # fmt: skip
        run_program(place.client, run, watched.collector.socket, tmp_path)


@pytest.mark.parametrize("run", hostile_client.BAD_COLLECTORS, ids=lambda run: run.name)
def test_bad_collector(watched, place, run, tmp_path):
    args = [watched.collector.socket if arg == "SOCKET" else arg for arg in run.args]
    run_program(place.collector, dataclasses.replace(run, args=args), None, tmp_path)


def answers(path):
    try:
        return wire.status(path)
    except (OSError, wire.Closed):
        return None


@pytest.mark.parametrize("run", hostile_client.STARTS, ids=lambda run: run.name)
def test_collector_starts(place, run, tmp_path):
    """It serves in spite of it, also events, and ends when asked."""
    path = str(place.new_path("sock"))
    process = start_program(place.collector, run, ["--socket", path, "--log-level", "warn"], tmp_path)
    try:
        wait_until(lambda: answers(path) or process.poll() is not None, "it starts")
        with wire.Connection(path) as watch, socket.socket() as nobody, socket.socket() as client:
            port = free_port()
            nobody.bind(("127.0.0.1", port))  # and does not listen
            watch.subscribe(rport=wire.ports(port))
            client.connect_ex(("127.0.0.1", port))
            assert [event.conn.event for event in watch.events(2)] == [pb.Conn.OPEN, pb.Conn.FAILED]
            files = {fd.name: os.readlink(fd) for fd in Path(f"/proc/{process.pid}/fd").iterdir()}
            assert all(files[str(fd)] == "/dev/null" for fd in run.closed), files
            assert "anon_inode:[eventpoll]" in files.values(), files
            process.terminate()
            assert watch.until("bye")[1].reason == pb.Bye.SHUTDOWN
        assert process.wait(DEADLINE_S) == run.code
    finally:
        process.kill()
        process.wait()
    check_said(run, tmp_path)


def test_nobody_reads_the_log(place):
    """stderr is a pipe that is full: lines are lost, clients are not."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write_end, b"x" * 4096)
    os.set_blocking(write_end, True)
    path = str(place.new_path("sock"))
    process = subprocess.Popen(
        [place.collector, "--socket", path, "--log-level", "info"], stderr=write_end,
        env=place.environment,
    )  # fmt: skip
    try:
        wait_until(lambda: answers(path) or process.poll() is not None, "it answers")
        assert answers(path).version
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(read_end)
        os.close(write_end)


def limit_memory(collector, data):
    # As itself: a root without CAP_SYS_RESOURCE may not.
    subprocess.run(
        ["prlimit", "--pid", str(collector.pid), f"--data={data}:"],
        user=SERVICE_USER, group=SERVICE_USER, extra_groups=[], check=True,
    )  # fmt: skip


def count_read(connection, events, lost):
    """Reads whatever there is, to Bye; its totals."""
    while True:
        reply = connection.reply()
        if reply.HasField("bye"):
            return reply.bye.totals
        if reply.event.HasField("lost"):
            lost.append(reply.event.lost)
        else:
            events.append(reply.event)


@pytest.mark.skipif(SANITIZED, reason="ASan ends the program without memory")
def test_no_memory_for_the_queue(start_collector, actor):
    """Queues of 16M that cannot grow: who does not read loses, who reads does not."""
    collector = start_collector("--queue", "16M")
    collector.allow("memory")
    server, client = actor(), actor()
    port = server.server()
    server.drop_served()
    slow = [wire.Connection(collector.socket) for _ in range(3)]
    for index, reader in enumerate(slow):
        reader.subscribe(rport=wire.ports(port), lport=wire.ports((1 + index, 65535)))
    with wire.Connection(collector.socket) as live:
        live.subscribe(rport=wire.ports(port))
        limit_memory(collector, int(collector.status("VmData").split()[0]) << 10)
        for _ in range(STARVED_CONNECTS // STARVED_BURST):
            client.connects(count=STARVED_BURST, address="127.0.0.1", port=port)
            assert not any(event.HasField("lost") for event in live.events(3 * STARVED_BURST))
        totals = live.unsubscribe()[1]
        assert totals.matched == totals.delivered == 3 * STARVED_CONNECTS
    # Who asks for something while there is no memory may be cut off.
    limit_memory(collector, "unlimited")
    for reader in slow:
        events, lost = [], []
        reader.send(pb.Request(unsubscribe=pb.Unsubscribe()))
        totals = count_read(reader, events, lost)
        assert totals.matched == 3 * STARVED_CONNECTS
        assert (len(events), sum(entry.count for entry in lost)) == (
            totals.delivered, totals.lost_queue,
        )  # fmt: skip
        assert totals.delivered + totals.lost_queue == totals.matched
        assert totals.lost_queue and len(lost) == 1, totals
        reader.close()
