# SPDX-License-Identifier: GPL-2.0-only
"""doc/examples: the clients, run as they are against a collector, and each line of jq, run on the
recording of tests/data and on one that is made now. What jq answers is held against the same
question asked in Python of the protobuf messages.

NETWATCH_REWRITE=1 keeps the recording that is made now as that of tests/data."""

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import netwatch_pb2 as pb
import segments
import wire
from harness import (
    ALICE, BOB, DEADLINE_S, SANITIZED, Actor, Client, Collector, Lines, end_process, wait_until,
)
from test_error import Pair
from test_http import Talk, head
from veth import ONCE, Link
from veth import Pair as FarPair

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "doc" / "examples"
STORED = ROOT / "tests" / "data" / "events.netwatch"
TEXT = (EXAMPLES / "jq.md").read_text()
# question -> the line
LINES = dict(re.findall(r"^### (.*?)\n.*?^```sh\n(.*?)\n```$", TEXT, re.M | re.S))
OPTIONS = re.search(r"^    netwatch record (.*) today\.netwatch$", TEXT, re.M)[1].split()


# ---------------------------------------------------------------- the recording


class Stage:
    """What a recording needs that answers all questions; it ends with `with`."""

    def __init__(self, place):
        self.place = place
        self.actors, self.namespaces = [], []

    def __enter__(self):
        self.collector = Collector(self.place)
        return self

    def __exit__(self, *_):
        for actor in self.actors:
            actor.end()
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "delete", name], check=True)
        self.collector.stop()

    def actor(self, *args, **options):
        self.actors.append(Actor(self.place, *args, **options))
        return self.actors[-1]

    def namespace(self):
        name = f"nw-test-{os.getpid()}-{next(self.place.numbers)}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.namespaces.append(name)
        return name


def say_http(stage):
    for host, status, answers_after in ("a.test", 200, 0), ("b.test", 503, 0.03), (
            "a.test", 500, 0.01), ("b.test", 404, 0), ("b.test:8080", 502, 0):
        talk = Talk(stage.actor)
        talk.ask(head(f"GET /{status}?q=1 HTTP/1.1", Host=host))
        time.sleep(answers_after)  # that is what the answer is about
        talk.answer(head(f"HTTP/1.1 {status} Words", Content_Length=0))
        talk.close()


def lose_segments(stage):
    """Over a link of two namespaces, one segment of each of three connections."""
    link = Link([stage.namespace(), stage.namespace()])
    pair = FarPair(link, stage.actor)
    for _ in range(3):
        pair.connect()
        link.server.rules(f"tcp dport {pair.port} meta length > 200 {ONCE} drop")
        pair.transfer(200_000)
        for process, told in (pair.client, pair.told), (pair.server, pair.accepted):
            process.close(fd=told["fd"])


def go_wrong(stage):
    client, server = stage.actor(uid=ALICE, comm=b"clumsy"), stage.actor(uid=BOB, comm=b"server")
    client.failures(count=3, address="127.0.0.1", port=server.refused_port())
    client.failures(count=1, address="::1", port=server.refused_port(address="::1"))
    pair = Pair(client, server).open()
    victim = pair.victim("server")
    victim.send(payload=b"bad", good=False)
    victim.send(flags=0, payload=b"x")
    victim.send(seq=1 << 29, payload=b"x")
    victim.close()
    client.reset(fd=pair.ours["fd"])
    pair.open()
    server.reset(fd=pair.theirs["fd"])


def make_recording(place, path):
    with Stage(place) as stage:
        recording = Client(
            place, stage.collector.socket, "record", path, "-v", "--interval", "100ms",
            "--no-existing", "--uid", f"{ALICE},{BOB}", *OPTIONS,
        ).wait_subscribed()
        try:
            say_http(stage)
            lose_segments(stage)
            go_wrong(stage)
        finally:
            assert recording.stop() == 0, recording


@pytest.fixture(scope="module")
def made(request):
    """One that is made now."""
    place = request.config.netwatch_place
    path = place.new_path("recording")
    make_recording(place, path)
    if "NETWATCH_REWRITE" in os.environ:
        shutil.copyfile(path, STORED)
    return path


@pytest.fixture(params=["stored", "made now"])
def recording(request):
    return STORED if request.param == "stored" else request.getfixturevalue("made")


def events_of(path):
    stream = bytearray(path.read_bytes())
    replies = []
    while (body := wire.take_frame(stream)) is not None:
        replies.append(pb.Reply.FromString(body))
    assert not stream and replies[-1].HasField("bye")
    return [reply.event for reply in replies if reply.HasField("event")]


# ---------------------------------------------------------- the same in Python

QUESTIONS = {}


def answers(question):
    def register(function):
        QUESTIONS[question] = function
        return function

    return register


def ranked(counts, most=None):
    """Lines, the largest number first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{count}\t{name}" for name, count in ordered[:most]]


def of(events, kind):
    return [(event.connection, getattr(event, kind)) for event in events if event.HasField(kind)]


def comm(connection):
    return connection.comm if connection.HasField("comm") else "?"


@answers("Who retransmits most?")
def retransmits(events):
    counts = Counter()
    for end, told in of(events, "retransmit"):
        counts[f"{end.raddr}\t{comm(end)}"] += told.segments or 1
    return ranked(counts)


@answers("Which requests were slowest?")
def slowest(events):
    rows = [
        [told.latency_us, told.status, told.method, told.host, told.target]
        for _, told in of(events, "http") if told.HasField("latency_us")
    ]
    return ["\t".join(map(str, row)) for row in sorted(rows, key=lambda row: -row[0])[:10]]


@answers("Which connects failed, and why?")
def failed(events):
    return ranked(Counter(
        f"{told.error}\t{end.raddr}:{end.rport}" for end, told in of(events, "conn")
        if told.event == pb.Conn.FAILED
    ))


@answers("Who talks most?")
def talkers(events):
    counts = Counter()
    for end, told in of(events, "conn"):
        if told.event == pb.Conn.CLOSE:
            counts[end.raddr or "?"] += told.bytes_received + told.bytes_acked
    return ranked(counts, 10)


@answers("Which ports does somebody listen on?")
def listeners(events):
    found = {
        (end.lport, f"{end.lport}\t{end.laddr}\t{comm(end)}") for end, told in of(events, "conn")
        if told.state == pb.Tcp.LISTEN and told.event != pb.Conn.CLOSE
    }
    return [line for _, line in sorted(found)]


@answers("How far away is each remote address?")
def distances(events):
    samples = defaultdict(list)
    for end, told in of(events, "tcpinfo"):
        if told.HasField("srtt_us"):
            samples[end.raddr].append(told.srtt_us)
    return [f"{min(s)}\t{sum(s) // len(s)}\t{name}" for name, s in sorted(samples.items())]


@answers("Who resets connections?")
def resets(events):
    kinds = pb.TcpError.RESET_SENT, pb.TcpError.RESET_RECEIVED
    return ranked(Counter(
        f"{pb.TcpError.Kind.Name(told.kind)}\t{comm(end)}" for end, told in of(events, "error")
        if told.kind in kinds
    ))


@answers("What was dropped, and for which reason?")
def drops(events):
    kinds = pb.TcpError.RESET_SENT, pb.TcpError.RESET_RECEIVED
    return ranked(Counter(
        f"{pb.TcpError.Kind.Name(told.kind)}\t{told.reason or '?'}"
        for _, told in of(events, "error") if told.kind not in kinds
    ))


@answers("Which hosts answer with 5xx?")
def bad_hosts(events):
    every, bad = Counter(), Counter()
    for _, told in of(events, "http"):
        if told.event == pb.Http.RESPONSE and told.host:
            every[told.host] += 1
            bad[told.host] += told.status >= 500
    ordered = sorted((host for host in bad if bad[host]), key=lambda host: (-bad[host], host))
    return [f"{bad[host]} of {every[host]}\t{host}" for host in ordered]


@answers("How long do connections last?")
def durations(events):
    counts = Counter()
    for _, told in of(events, "conn"):
        if told.event == pb.Conn.CLOSE and told.HasField("duration_us"):
            ms = told.duration_us / 1000
            counts[0 if ms <= 1 else math.ceil(math.log10(ms))] += 1
    return [f"{count}\tup to {10**power} ms" for power, count in sorted(counts.items())]


def test_ten_questions():
    assert list(LINES) == list(QUESTIONS) and len(LINES) >= 10


@pytest.mark.parametrize("question", QUESTIONS)
def test_question(place, recording, question):
    """As it stands in the file, in a shell."""
    room = place.new_path("room")
    room.mkdir()
    (room / "netwatch").symlink_to(place.client)
    (room / "today.netwatch").symlink_to(recording)
    done = subprocess.run(
        LINES[question], shell=True, cwd=room, capture_output=True, text=True, timeout=DEADLINE_S,
        env={**place.environment, "PATH": f"{room}:{place.environment['PATH']}"}, check=False,
    )
    assert done.returncode == 0 and not done.stderr, done
    expected = QUESTIONS[question](events_of(recording))
    assert expected, "the recording does not have it"
    if "sort" in LINES[question].split("|")[-1]:  # where two have the same number
        assert sorted(done.stdout.splitlines()) == sorted(expected)
    else:
        assert done.stdout.splitlines() == expected


def test_stored_recording(place):
    """Small, of the tests' own users and addresses only, and the same in every build."""
    assert STORED.stat().st_size < 64 * 1024
    ends = [event.connection for event in events_of(STORED)]
    assert {end.uid for end in ends if end.HasField("uid")} <= {61001, 61002}
    assert {end.laddr for end in ends} <= {"127.0.0.1", "::1", "10.9.0.1", "10.9.0.2"}
    done = subprocess.run([place.client, "replay", "-q", "-o", "pb", STORED], check=True,
                          capture_output=True, timeout=DEADLINE_S, env=place.environment)
    assert done.stdout == STORED.read_bytes()


# -------------------------------------------------------------------- clients


def build_python(place, room):
    return [sys.executable, EXAMPLES / "client.py"], {"PYTHONPATH": str(room)}


def build_c(place, room):
    """As the file itself says, but for where the protocol is."""
    text = (EXAMPLES / "client.c").read_text()
    lines = re.findall(r"^ \*     ((?:protoc-c|cc) .*?[^\\])$", text, re.M | re.S)
    commands = [re.sub(r"\\\n \*", "", line) for line in lines]
    assert len(commands) == 2
    for command in commands:
        command = command.replace("/usr/local/share/netwatch", shlex.quote(str(ROOT / "proto")))
        source = shlex.quote(str(EXAMPLES / "client.c"))
        words = command.replace("client.c ", f"{source} -Wall -Wextra -Werror ")
        subprocess.run(words, shell=True, cwd=room, check=True, timeout=DEADLINE_S)
    return [room / "client"], {}


@pytest.mark.parametrize("build", [build_python, build_c])
def test_client(place, collector, actor, build):
    """Run by a user, who sees what happens, and the account in the end."""
    room = place.new_path("room")
    room.mkdir()
    shutil.copy(place.path / "netwatch_pb2.py", room)
    command, environment = build(place, room)
    client, server = actor(comm=b"an\x1bactor"), actor(uid=BOB)
    listener = server.listen()
    refused = server.refused_port()
    process = subprocess.Popen(
        [*command, collector.socket, str(listener["port"]), "3"], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, user=ALICE, group=ALICE, extra_groups=[], cwd="/",
        env={**place.environment, **environment},
    )
    said = Lines(process.stdout)
    try:
        wait_until(lambda: said.lines or process.poll() is not None, "it is subscribed")
        told = client.connect(address="127.0.0.1", port=listener["port"])
        accepted = server.accept(fd=listener["fd"])
        server.send(fd=accepted["fd"], count=1000)
        client.receive(fd=told["fd"], count=1000)
        server.close(fd=accepted["fd"])
        client.receive_end(fd=told["fd"])  # its FIN counts as a byte
        client.close(fd=told["fd"])
        assert process.wait(DEADLINE_S) == 0, said.text()
    finally:
        end_process(process)
    said.finish()
    ends = f"127.0.0.1:{told['lport']} 127.0.0.1:{listener['port']} an\\x1bactor[{client.pid}]"
    assert said.text().splitlines() == [
        "subscribed", f"OPEN {ends}", f"ESTABLISHED {ends}",
        f"CLOSE {ends} received=1001 sent=2", "matched 3, lost 0",
    ]
    done = subprocess.run([*command, "/nowhere", str(refused)], capture_output=True, text=True,
                          env={**place.environment, **environment}, timeout=DEADLINE_S, check=False)
    assert done.returncode != 0 and done.stderr


def test_examples_are_all_here():
    assert sorted(path.name for path in EXAMPLES.iterdir()) == ["client.c", "client.py", "jq.md"]


def test_installed(tmp_path):
    """Where examples of programs are, byte for byte."""
    subprocess.run(
        ["make", "-s", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr",
         f"SAN={1 if SANITIZED else ''}"],
        check=True, capture_output=True, timeout=300,
    )
    installed = tmp_path / "usr/share/doc/netwatch/examples"
    for path in EXAMPLES.iterdir():
        assert (installed / path.name).read_bytes() == path.read_bytes()
