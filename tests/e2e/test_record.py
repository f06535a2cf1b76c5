# SPDX-License-Identifier: GPL-2.0-only
"""record and replay: a replay prints what subscribe printed live, byte for byte, in every format
and through every filter; what becomes of a file in every way that a recording can end."""

import itertools
import json
import os
import random
import re
import resource
import signal
import stat
import subprocess
import time
from collections import Counter

import pytest

import netwatch_pb2 as pb
import wire
from fake_collector import BYE, GOOD, HELLO, LIVE, bye, event, hello, is_clean, reply
from harness import ALICE, BOB, DEADLINE_S, Lines, end_process, scaled, wait_until
from test_containers import cgroups, hierarchy  # noqa: F401, the first is a fixture
from test_http import Talk, get, head, ok
from terminal import Terminal

CATEGORIES = "conn,packet,http,error,retransmit"
USERS = "--uid", f"{ALICE},{BOB}"
ALL = "-a", "--events", CATEGORIES, "--no-existing"

FORMATS = [
    ["-o", "table"],
    ["-o", "table", "--time-format", "delta", "--color", "always"],
    ["-o", "table", "--fields", "time,comm,raddr,packet.flags,http.target", "-H"],
    ["-o", "compact", "--time-format", "unix"],
    ["-o", "json"],
    ["-o", "json", "-c", "7"],
    ["-o", "csv"],
    ["-o", "csv", "--fields", "time,category,lport,conn.event,http.status"],
]
FILTERS = {
    "sport": ["-s", "{port}"],
    "dport": ["-d", "{port},{v6},{refused}"],
    "port range": ["--port", "{port}-{port}"],
    "not port": ["--not", "--port", "{port}"],
    "laddr": ["--laddr", "::1"],
    "not raddr": ["--not", "--raddr", "127.0.0.0/8"],
    "addr": ["--addr", "127.0.0.1/32"],
    "family": ["-6"],
    "pid": ["--pid", "{client}"],
    "not pid": ["--not", "--pid", "{client}"],
    "comm": ["--comm", "rec-client"],
    "not comm": ["--not", "--comm", "rec-client"],
    "comm that no name is": ["--comm", "x"],
    "role": ["--role", "server"],
    "not role": ["--not", "--role", "server"],
    "netns": ["--netns", "{netns}"],
    "not netns": ["--not", "--netns", "{netns}"],
    "cgroup": ["--cgroup", "{cgroup}"],
    "root cgroup": ["--cgroup", "/"],
    "not cgroup": ["--not", "--cgroup", "{cgroup}"],
    "uid": ["--uid", str(ALICE)],
    "not uid": ["--not", "--uid", str(ALICE)],
    "and": ["-d", "{port}", "--raddr", "::1"],
    "several": ["--role", "client", "-4", "--not", "--comm", "nobody", "-d", "{port}"],
    "method": ["--http-method", "get"],
    "not method": ["--not", "--http-method", "GET,PUT"],
    "host": ["--http-host", "h.test"],
    "path": ["--http-path", "/a*"],
    "not path": ["--not", "--http-path", "/a*"],
    "status": ["--http-status", "400-499,200"],
    "latency": ["--min-latency", "1h"],
    "not latency": ["--not", "--min-latency", "1h"],
}
# Other categories than were recorded.
CHOICES = {
    "conn": ["--events", "conn"],
    "conn, all": ["--events", "conn", "-a"],
    "default": ["-a"],
    "letters": ["-e", "-i"],
}


@pytest.fixture
def netwatch(netwatch, place):
    """With the time zone of the tests' own clients."""

    def run(*args, **options):
        return netwatch(*args, env={"TZ": "UTC"}, **options)

    return run


@pytest.fixture
def replay(place):
    """A replay to its end: what subprocess.run returns."""

    def run(*args, uid=0, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            [place.client, "--socket", "/nowhere", "replay", *map(str, args)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE_S, user=uid,
            group=uid, extra_groups=[], env={**place.environment, "TZ": "UTC"}, cwd="/",
            check=False, **options,
        )

    return run


@pytest.fixture
def record(netwatch, place):
    """A live recording, with its .path."""

    def run(*args, path=None, **options):
        path = path or place.new_path("recording")
        client = netwatch("record", path, "-v", *args, **options).wait_subscribed()
        client.path = path
        return client

    return run


@pytest.fixture
def scene(cgroups, actor):  # noqa: F811
    """Processes of two users, of which one is in a cgroup; act() is what they do. (They are
    started after it was made, and so end before.)"""
    return Scene(actor, cgroups)


class Scene:
    def __init__(self, actor, cgroups):  # noqa: F811
        self.actor = actor
        self.client = actor(uid=ALICE, comm=b"rec-client")
        cgroups["a"].add(self.client)
        server = actor(uid=BOB, comm=b"rec-server")
        self.ports = {address: server.server(address=address) for address in ("127.0.0.1", "::1")}
        server.drop_served()
        self.talk = Talk(actor, client=ALICE, server=BOB)
        self.names = {
            "port": self.ports["127.0.0.1"], "v6": self.ports["::1"],
            "refused": server.refused_port(), "client": self.client.pid,
            "netns": os.stat("/proc/self/ns/net").st_ino, "cgroup": cgroups["a"].path,
        }

    def fill(self, words):
        return [word.format(**self.names) for word in words]

    def act(self):
        for address, port in self.ports.items():
            self.client.connects(count=3, address=address, port=port, payload=100)
        self.client.failures(count=2, address="127.0.0.1", port=self.names["refused"])
        self.talk.open()
        self.talk.ask(get("/a?b=c"))
        self.talk.answer(ok("text"))
        self.talk.ask(head("PUT /b HTTP/1.1", Host="other", Content_Length=0))
        self.talk.answer(head("HTTP/1.1 404 Not Found", Content_Length=0))
        self.talk.close()


def output(client):
    return b"".join(client.out.lines)


def stop(client):
    assert client.stop() == 0, client


def account(client_or_done):
    """Of --stats, but for the time."""
    err = client_or_done.stderr if hasattr(client_or_done, "stderr") else b"".join(
        client_or_done.err.lines)
    told = json.loads([line for line in err.splitlines() if line.startswith(b"{")][-1])
    assert told.pop("duration_s") >= 0
    return told


# --------------------------------------------------------- the same as it was


def test_same_bytes_in_every_format(scene, netwatch, record, replay):
    lives = [netwatch("subscribe", "-v", *ALL, *USERS, *words).wait_subscribed()
             for words in FORMATS]
    raw = netwatch("subscribe", "-v", *ALL, *USERS, "-o", "pb").wait_subscribed()
    recording = record(*ALL, *USERS)
    scene.act()
    for live in *lives, raw, recording:
        if "-c" in live.process.args:
            assert live.wait() == 0
        else:
            stop(live)
    for words, live in zip(FORMATS, lives):
        done = replay(recording.path, *words)
        assert done.returncode == 0, done
        assert done.stdout == output(live) and done.stdout, words
    happened = Counter(name for line in output(lives[4]).splitlines()
                       for name in json.loads(line) if name in CATEGORIES)
    assert happened["http"] == 8 and happened["conn"] > 30 and happened["packet"] > 60, happened
    # The raw stream is another form of the same events.
    again = replay(recording.path, "-o", "pb").stdout
    assert again == recording.path.read_bytes()
    events = [message.event for message in messages(again) if message.HasField("event")]
    for one in events:
        assert one.connection.cgroup
        one.connection.ClearField("cgroup")
    assert events == [
        message.event for message in messages(output(raw)) if message.HasField("event")
    ]


def messages(data):
    stream, found = bytearray(data), []
    while (body := wire.take_frame(stream)) is not None:
        found.append(pb.Reply.FromString(body))
    assert not stream, "a part of a frame"
    return found


def test_same_bytes_through_every_filter(scene, netwatch, record, replay):
    """What the kernel and the collector let pass is what the client lets pass; the account too."""
    words = {name: scene.fill(filter_) for name, filter_ in FILTERS.items()}
    lives = {
        name: netwatch("subscribe", "-v", "--stats", "-o", "json", *ALL,
                       *([] if name in ("uid", "not uid") else USERS), *filter_,
                       uid=0).wait_subscribed()
        for name, filter_ in words.items() if name != "not uid"
    }
    recording = record(*ALL, *USERS)
    everything = netwatch("subscribe", "-v", "-o", "json", *ALL, *USERS).wait_subscribed()
    scene.act()
    for live in *lives.values(), recording, everything:
        stop(live)
    for name, live in lives.items():
        done = replay(recording.path, "-o", "json", "--stats", *words[name])
        assert done.returncode == 0, done
        assert done.stdout == output(live), name
        assert account(done) == account(live), name
    # One that cannot be asked for without the traffic of others.
    done = replay(recording.path, "-o", "json", *words["not uid"])
    assert done.stdout == b"".join(
        line for line in output(everything).splitlines(keepends=True)
        if json.loads(line)["connection"]["uid"] != ALICE
    )
    kept = {name: len(live.out.lines) for name, live in lives.items()}
    assert kept["comm that no name is"] == kept["not netns"] == 0
    assert all(kept[name] for name in set(kept) - {
        "comm that no name is", "not netns", "and"}), kept


def test_same_bytes_of_other_categories(scene, netwatch, record, replay):
    lives = {
        name: netwatch("subscribe", "-v", "-o", "csv", "--no-existing", *USERS,
                       *words).wait_subscribed()
        for name, words in CHOICES.items()
    }
    recording = record(*ALL, *USERS)
    scene.act()
    for live in *lives.values(), recording:
        stop(live)
    for name, words in CHOICES.items():
        done = replay(recording.path, "-o", "csv", *words)
        assert done.returncode == 0 and done.stdout == output(lives[name]), name
    done = replay(recording.path, "--events", "conn,tcpinfo")
    assert b"no tcpinfo events" in done.stderr and done.returncode == 0


def test_existing_are_recorded(scene, record, replay):
    recording = record("--events", "conn", *USERS)
    stop(recording)
    done = replay(recording.path, "-o", "json", "--stats")
    assert {json.loads(line)["conn"]["event"] for line in done.stdout.splitlines()} == {"EXISTING"}
    assert account(done)["matched"] == 0
    assert not replay(recording.path, "-o", "json", "--no-existing").stdout


def test_cgroup_that_is_gone(scene, cgroups, record, replay):  # noqa: F811
    """Its path is in the recording, so that nothing of it need be here any more."""
    recording = record("--events", "conn", "--no-existing", *USERS)
    scene.client.connects(count=1, address="127.0.0.1", port=scene.ports["127.0.0.1"])
    stop(recording)
    path = cgroups["a"].path
    scene.client.end()
    for name in "a/below", "a":
        cgroups.pop(name).remove()
    below = path, path[1:], f"{path}//", f"/sys/fs/cgroup{path}", f"{hierarchy()}{path}"
    for word in below:
        lines = replay(recording.path, "-o", "json", "--cgroup", word).stdout.splitlines()
        assert len(lines) == 2, word
        assert {json.loads(line)["connection"]["cgroup"] for line in lines} == {path}
    others = replay(recording.path, "-o", "json", "--not", "--cgroup", path).stdout
    assert len(others.splitlines()) == 1
    for word in path[:-3], f"{path}b":  # one that only begins the same
        assert not replay(recording.path, "-o", "json", "--cgroup", word).stdout


def test_through_pipes(scene, netwatch, place, record):
    """record to stdout, and replay from stdin while it is being recorded."""
    live = record("--events", "conn", "-a", "--no-existing", *USERS)
    source, sink = os.pipe()
    made = netwatch("record", "-", "-v", "--events", "conn", "-a", "--no-existing", *USERS,
                    "--count", "4", stdout=sink)
    printed = subprocess.Popen(
        [place.client, "replay", "-", "-o", "json"], stdin=source,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.environment,
    )
    os.close(source)
    os.close(sink)
    made.wait_subscribed()
    scene.client.failures(count=2, address="127.0.0.1", port=scene.names["refused"])
    assert made.wait() == 0
    out, err = printed.communicate(timeout=DEADLINE_S)
    assert printed.returncode == 0 and len(out.splitlines()) == 4, err
    assert b"4 events, 0 lost" in err
    stop(live)


def test_as_it_grows(scene, record, place, replay):
    """What was received is in the file at once; until the end it counts as cut off."""
    recording = record("--events", "conn", "--no-existing", *USERS)

    def events():
        done = replay(recording.path, "-o", "json")
        assert done.returncode == 1 and b"has no end" in done.stderr
        return done.stdout.splitlines()

    for count in 2, 4:
        scene.client.failures(count=1, address="127.0.0.1", port=scene.names["refused"])
        wait_until(lambda: len(events()) == count, "they are in the file")
    stop(recording)
    assert replay(recording.path).returncode == 0


# --------------------------------------------------------- how a recording ends


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal(record, replay, number):
    recording = record("--events", "conn", "--uid", ALICE)
    assert recording.stop(number) == 0
    assert messages(recording.path.read_bytes())[-1].HasField("bye")
    assert replay(recording.path).returncode == 0


def test_options_of_subscribe(netwatch, place, scene, replay):
    """--duration, -c, --stats and COMMAND; the exit status is COMMAND's."""
    path = place.new_path("recording")
    done = netwatch("record", path, "--events", "conn", "--duration", "100ms", "--stats", *USERS)
    assert done.wait() == 0 and account(done)["matched"] == 0
    words = ["/usr/bin/python3", "-c", "print('told'); raise SystemExit(7)"]
    done = netwatch("record", path, "--events", "conn", *USERS, "--", *words)
    assert done.wait() == 7 and "told" in done.err.text() and not done.out.lines
    assert replay(path).returncode == 0


def test_collector_that_goes_away(start_collector, netwatch, place, replay):
    """What a fake one has said is all there; so is what a real one had."""
    collector = start_collector()
    path = place.new_path("recording")
    recording = netwatch("record", path, "-v", "--events", "conn", "--uid", ALICE,
                         socket=collector.socket).wait_subscribed()
    collector.kill()
    assert recording.wait() == 4
    done = replay(path)
    assert done.returncode == 1 and b"has no end" in done.stderr, done
    # A collector that was stopped in order says so, and that is an end.
    collector = start_collector()
    recording = netwatch("record", path, "-v", "--events", "conn", "--uid", ALICE,
                         socket=collector.socket).wait_subscribed()
    collector.stop()
    assert recording.wait() == 4
    assert replay(path).returncode == 0


def test_file_is_made_and_replaced(record, netwatch, place, replay):
    """Readable by its owner only; an old one keeps its mode, and its content until there is new."""
    recording = record("--events", "conn", "--uid", ALICE, uid=0)
    stop(recording)
    path = recording.path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    size = path.stat().st_size
    path.chmod(0o644)
    path.write_bytes(b"x" * 100_000)
    refused = netwatch("record", path, "--events", "conn", socket="/nowhere")
    assert refused.wait() == 3 and path.stat().st_size == 100_000
    os.chown(path, ALICE, ALICE)
    refused = netwatch("record", path, "--events", "conn", "--uid", BOB, uid=ALICE)
    assert refused.wait() == 77 and path.stat().st_size == 100_000
    stop(record("--events", "conn", "--uid", ALICE, path=path))
    assert path.stat().st_size == pytest.approx(size, abs=20)  # of numbers in bye
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert replay(path).returncode == 0
    missing = place.new_path("recording")
    refused = netwatch("record", missing, "--events", "conn", socket="/nowhere")
    assert refused.wait() == 3 and not missing.exists()


def test_file_that_cannot_be(netwatch, place):
    for path in place.path, place.path / "no" / "such":
        done = netwatch("record", path, "--events", "conn")
        assert done.wait() == 5 and str(path) in done.err.text(), done
    done = netwatch("record", "/dev/full", "--events", "conn", "--duration", "100ms", *USERS)
    assert done.wait() == 5 and "No space left" in done.err.text(), done


def test_full_disk(scene, netwatch, place, replay):
    """Exit 5, and what is there can be read to its last whole event."""
    path = place.new_path("recording")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3001, 3001))

    recording = netwatch("record", path, "-v", "--events", "conn", *USERS, "--no-existing",
                         preexec_fn=limit).wait_subscribed()
    scene.client.failures(count=50, address="127.0.0.1", port=scene.names["refused"])
    assert recording.wait() == 5, recording
    assert "cannot write the output" in recording.err.text()
    data = path.read_bytes()
    assert len(data) == 3001
    done = replay(path, "-o", "json")
    assert done.returncode == 1 and b"is cut off" in done.stderr, done
    assert len(done.stdout.splitlines()) == len(whole_events(data)) > 10


def whole_events(data):
    stream, found = bytearray(data), []
    while (body := wire.take_frame(stream)) is not None:
        found.append(pb.Reply.FromString(body))
    return [message.event for message in found if message.HasField("event")]


def test_reconnect(netwatch, stub, place, replay):
    """One recording over two collectors, with the gap at its place."""
    path = place.new_path("recording")
    recording = netwatch("record", path, "--events", "conn", "--reconnect", socket=stub.path)
    peer = stub.live()
    peer.event(connection=1)
    peer.close()
    peer = stub.live(epoch=2)
    peer.event(connection=2)
    wait_until(lambda: b"RESTART" in replay(path, "-o", "json").stdout, "the second one")
    recording.process.terminate()
    peer.finish(matched=1)
    assert recording.wait() == 0, recording
    done = replay(path, "-o", "json", "--stats")
    assert done.returncode == 0, done
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["connection"]["id"] if "connection" in line else line["lost"]["cause"]
            for line in lines] == ["1", "RESTART", "2"]
    kinds = [message.WhichOneof("reply") for message in messages(path.read_bytes())]
    assert kinds == ["hello", "subscribed", "event", "event", "event", "bye"]


def test_history_is_in_no_account(place, replay):
    """What came before `subscribed` was not matched."""
    path = write(place, HELLO + GOOD + LIVE + GOOD + BYE)
    assert account(replay(path, "--stats", "-4"))["matched"] == 1
    path = write(place, HELLO + GOOD + BYE)  # of a list, or of history alone
    done = replay(path, "-o", "json", "--stats", "-4")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    assert json.loads(done.stderr.splitlines()[-1])["matched"] == 0


def test_verbose(place, replay):
    done = replay(write(place, reply(hello=pb.Hello(
        major=1, program="a\x1bprogram", category=["conn"])) + LIVE + BYE), "-v")
    assert done.returncode == 0 and b"was recorded from a\\x1bprogram" in done.stderr


def test_losses_are_recorded(place, replay):
    """Where they were, on stderr for people; whatever was filtered."""
    gap = event(lost={"cause": "KERNEL_RING", "count": 5, "first": {"seconds": 1},
                      "last": {"seconds": 2}})
    path = write(place, HELLO + LIVE + GOOD + gap + GOOD + bye(
        matched=7, delivered=2, filtered=0, lost_kernel=5, lost_queue=0, duration_us=1000000))
    done = replay(path, "-o", "json", "-d", "1", "--stats", "--fail-on-loss")
    assert [list(json.loads(line)) for line in done.stdout.splitlines()] == [["lost"]]
    assert done.returncode == 6 and b"0 events, 5 lost, 1.000 s" in done.stderr
    assert account(done) == {
        "matched": 5, "delivered": 0, "filtered": 0, "lost_kernel": 5, "lost_queue": 0}
    assert account(replay(path, "--stats"))["matched"] == 7
    done = replay(path, "-q", "-H", "-o", "table")
    assert done.returncode == 0 and done.stderr.count(b"events were lost") == 1
    assert len(done.stdout.splitlines()) == 2


# ----------------------------------------------------------------------- progress


def shown_at_last(text):
    """What stands there when everything was written, carriage returns and all."""
    lines = []
    for line in text.removesuffix("\n").split("\n"):
        screen = ""
        for part in line.split("\r"):
            screen = part + screen[len(part):]
        lines.append(screen.rstrip())
    return lines


def test_progress_of_record(scene, netwatch, place):
    """A line that changes, and is gone before the summary, which is the only one that stays."""
    path = place.new_path("recording")
    terminal = Terminal(60)
    recording = netwatch("record", path, "--events", "conn", "--no-existing", *USERS,
                         stderr=terminal.stdout)
    wait_until(lambda: b"0 events" in terminal.shown, "the line is there")
    scene.client.failures(count=3, address="127.0.0.1", port=scene.names["refused"])
    wait_until(lambda: b"\r6 events" in terminal.shown, "it goes on")
    terminal.close()
    assert end_process(recording.process) == 0
    text = terminal.text()
    assert re.search(r"\r6 events +\d+/s +[\d.]+ k?B +0:00:\d\d", text), text
    summary, = shown_at_last(text)
    assert re.fullmatch(rf"netwatch: {path}: 6 events, 0 lost, \d+\.\d{{3}} s", summary), text
    assert max(map(len, text.split("\r"))) < 200


@pytest.mark.parametrize("words", [["-q"], ["--", "true"]])
def test_no_progress(scene, netwatch, place, words):
    """When it is quiet; and COMMAND has the terminal for itself."""
    terminal = Terminal(80)
    recording = netwatch("record", place.new_path("recording"), "--events", "conn", "--duration",
                         "1200ms", *USERS, *words, stderr=terminal.stdout)
    terminal.close()
    assert recording.process.wait(DEADLINE_S) == 0
    assert "events  " not in terminal.text()


def test_progress_of_replay(place):
    """With a percentage, since its end is known; not between the lines of the same terminal."""
    path = write(place, HELLO + LIVE + 60_000 * GOOD + BYE)
    terminal = Terminal(80)
    process = subprocess.Popen([place.client, "replay", "-o", "json", path], env=place.environment,
                               stdout=subprocess.PIPE, stderr=terminal.stdout)
    terminal.close()
    process.stdout.read(1)
    time.sleep(0.6)  # longer than it shows nothing; meanwhile the pipe is full
    said = Lines(process.stdout)
    assert process.wait(DEADLINE_S) == 0
    said.finish()
    text = terminal.text()
    assert re.search(r"\r +\d+%  \d+ events  \d+/s", text), text
    summary, = shown_at_last(text)
    assert "60000 events, 0 lost" in summary
    terminal = Terminal(80)
    subprocess.run([place.client, "replay", "-c", "3", path], env=place.environment,
                   stdout=terminal.stdout, stderr=terminal.stdout, timeout=DEADLINE_S, check=True)
    assert "%" not in terminal.close().text()


def test_recording_on_a_terminal(netwatch):
    terminal = Terminal(80)
    done = netwatch("record", "-", "--events", "conn", stdout=terminal.stdout)
    terminal.close()
    assert done.process.wait(DEADLINE_S) == 2
    done.err.finish()
    assert "a recording is binary" in done.err.text() and not terminal.text()


# ------------------------------------------------------------- what is no recording


def write(place, data):
    path = place.new_path("recording")
    path.write_bytes(data)
    path.chmod(0o644)
    return path


READ_SIZE = 256 * 1024
SMALL = HELLO + LIVE + 3 * GOOD + BYE


def test_cut_at_every_byte(place, replay):
    """What is whole is printed, and what happened is said."""
    for size in range(len(SMALL)):
        done = replay(write(place, SMALL[:size]), "-o", "json")
        assert done.returncode == 1, (size, done)
        assert len(done.stdout.splitlines()) == len(whole_events(SMALL[:size])), size
        said = "no recording" if size < len(HELLO) else "is cut off in a message"
        begins = list(itertools.accumulate(map(len, [HELLO, LIVE, GOOD, GOOD, GOOD])))
        if size in begins:
            said = "has no end"
        assert said in done.stderr.decode().splitlines()[0], (size, done)
    assert replay(write(place, SMALL)).returncode == 0


NO_RECORDING = {
    "empty": b"",
    "text": b"GET / HTTP/1.1\r\n\r\n" * 1000,
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
    "pcap": bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000") + bytes(100),
    "a huge message": b"\x80\x80\x80\x80\x01" + bytes(100),
    "a message that never ends": b"\xff\xff\x03" + b"x" * 100,
    "no hello": LIVE + GOOD + BYE,
    "hello of nobody": reply(hello=pb.Hello()) + LIVE + BYE,
}


@pytest.mark.parametrize("name", NO_RECORDING)
def test_no_recording(place, replay, name):
    path = write(place, NO_RECORDING[name])
    for done in replay(path, uid=ALICE), replay("-", stdin=path.open()):
        assert done.returncode == 1 and not done.stdout, done
        assert b"is no recording of netwatch\n" in done.stderr and done.stderr.count(b"\n") == 1


BAD = {
    "a huge message": (b"\x80\x80\x80\x80\x01", "more than 64 KiB"),
    "no message": (wire.frame(b"\x0b\x0b"), "no message"),
    "length of zero": (b"\0" * 10, "no message"),
    "event that is none": (wire.frame(wire.nested(3, b"\xff\xff")), "no message"),
    "connection that is none": (
        wire.frame(wire.nested(3, wire.nested(2, b"\x08") + wire.nested(4, b"\x08\x01"))),
        "no message"),
    "detail that is none": (wire.frame(wire.nested(3, wire.nested(4, b"\x08"))), "no message"),
    "bye that is none": (wire.frame(wire.nested(7, b"\x12\x05x")), "no message"),
    "second hello": (HELLO, "no message"),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged(place, replay, name):
    """What was before is printed, and where it broke is said."""
    data, said = BAD[name]
    done = replay(write(place, HELLO + LIVE + GOOD + data + GOOD + BYE), "-o", "json")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 1, done
    place_ = len(HELLO + LIVE + GOOD)
    assert f"is damaged at byte {place_}: ".encode() in done.stderr and said.encode() in done.stderr
    assert is_clean(done.stderr)


def test_something_follows(place, replay):
    done = replay(write(place, SMALL + SMALL), "-o", "json")
    assert done.returncode == 1 and b"follows the recording's end" in done.stderr, done
    assert len(done.stdout.splitlines()) == 3
    # Its end is where one read ends.
    fill = [wire.frame(wire.nested(77, bytes(60_000)))] * 4
    rest = READ_SIZE - len(SMALL) - sum(map(len, fill))
    fill.append(wire.frame(wire.nested(77, bytes(rest - 8))))
    whole = HELLO + LIVE + b"".join(fill) + 3 * GOOD + BYE
    assert len(whole) == READ_SIZE
    assert replay(write(place, whole)).returncode == 0
    assert replay(write(place, whole + b"x")).returncode == 1


def test_other_major(place, replay):
    done = replay(write(place, hello(major=2) + LIVE + GOOD + BYE))
    assert done.returncode == 76 and not done.stdout and b"version 2" in done.stderr, done


def test_newer_things_are_passed_over(place, replay):
    """Event types, fields, replies and categories that this version does not know."""
    newer = wire.frame(wire.nested(3, wire.nested(200, b"\x08\x01")))
    field = wire.frame(wire.nested(
        3, wire.nested(2, b"\x18\x50" + wire.nested(99, b"x")) + wire.nested(4, b"\x08\x02")
        + wire.nested(88, b"y")))
    other = wire.frame(wire.nested(77, b"z"))
    done = replay(
        write(place, hello(category=("conn", "tomorrow"), minor=9) + LIVE + newer + field + other
              + BYE), "-o", "json")
    assert done.returncode == 0, done
    assert done.stdout == b'{"connection":{"lport":80},"conn":{"event":"OPEN"}}\n'


def test_hostile_text(place, replay):
    """A recording may be anybody's."""
    text = "a\x1b[2J\u202eb\n"
    data = hello(category=("conn", "http", text)) + LIVE + event(
        connection={"lport": 80, "comm": text, "cgroup": text, "laddr": text},
        http={"event": "REQUEST", "host": text, "target": text}) + BYE
    for words in ["-o", "table"], ["-o", "compact"], ["-o", "csv"], ["-o", "json"]:
        for filter_ in [], ["--not", "--laddr", "::1", "--cgroup", "/", "--http-path", "*"]:
            done = replay(write(place, data), *words, *filter_)
            assert done.returncode == 0 and is_clean(done.stdout), done
            assert is_clean(done.stderr)


def test_usage(place, replay, netwatch):
    path = write(place, SMALL)
    for words in ["--duration", "1s"], ["--reconnect"], ["--interval", "1s"], ["--last", "1"], \
            ["--since", "1s"], ["--no-follow"]:
        done = replay(path, *words)
        assert done.returncode == 2 and words[0].encode() in done.stderr, done
    for words in ["-o", "json"], ["--fields", "time"], ["-H"], ["--color", "never"]:
        done = netwatch("record", path, *words)
        assert done.wait() == 2 and path.read_bytes() == SMALL, done
    for command in "record", "replay":
        done = netwatch(command)
        assert done.wait() == 2 and f"{command} needs FILE" in done.err.text()
    done = replay(path, "--", "true")
    assert done.returncode == 2
    done = replay(path, *itertools.chain(*(["--pid", str(n)] for n in range(1, 66))))
    assert done.returncode == 1 and b"pid: more than 64 values" in done.stderr
    done = replay("/no/such")
    assert done.returncode == 1 and b"/no/such" in done.stderr
    done = replay(place.path)
    assert done.returncode == 1 and b"directory" in done.stderr


def test_reader_that_goes_away(place, replay):
    """As with subscribe: SIGPIPE; a full disk is exit 5."""
    path = write(place, HELLO + LIVE + 50_000 * GOOD + BYE)
    process = subprocess.Popen([place.client, "replay", "-q", path], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=place.environment,
                               preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL))
    assert process.stdout.readline().startswith(b"TIME")
    process.stdout.close()
    assert process.wait(DEADLINE_S) == -signal.SIGPIPE
    process.stderr.close()
    with open("/dev/full", "w") as full:
        done = subprocess.run([place.client, "replay", path], stdout=full, stderr=subprocess.PIPE,
                              env=place.environment, timeout=DEADLINE_S, check=False)
    assert done.returncode == 5 and b"No space left" in done.stderr


def test_reader_of_a_pipe_that_stays_open(place):
    """Nothing comes, and whoever read has gone."""
    process = subprocess.Popen([place.client, "replay", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=place.environment)
    process.stdin.write(HELLO + LIVE + GOOD)
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"TIME")
    process.stdout.close()
    assert process.wait(DEADLINE_S) in (5, -signal.SIGPIPE)
    process.stdin.close()
    process.stderr.close()


def test_ctrl_c(place):
    """While it waits for more, and while a FIFO has nobody at the other end."""
    fifo = place.new_path("fifo")
    os.mkfifo(fifo)
    for file, stdin in (fifo, subprocess.DEVNULL), ("-", subprocess.PIPE):
        process = subprocess.Popen([place.client, "replay", file], stdin=stdin,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=place.environment)
        said = Lines(process.stderr)
        wait_until(lambda: "S" in state(process.pid), "it waits")
        assert end_process(process, signal.SIGINT) == 0, said.text()
        process.stdout.close()


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


def test_fuzz(place, replay):
    """Bits turned and bytes lost anywhere: an error or not, but never more than that."""
    dice = random.Random(7)
    sample = SMALL[:-len(BYE)] + event(
        time={"seconds": 1000, "nanos": 5},
        connection={"id": 5, "laddr": "::1", "raddr": "10.0.0.1", "rport": 80, "role": "CLIENT",
                    "pid": 5, "comm": "x", "uid": 1, "netns": 9, "cgroup_id": 3, "cgroup": "/a/b"},
        http={"event": "RESPONSE", "method": "GET", "target": "/a", "host": "h", "status": 200,
              "latency_us": 5},
    ) + event(lost={"cause": "KERNEL_RING", "count": 3, "first": {"seconds": 1},
                    "last": {"seconds": 2}}) + bye(matched=4, delivered=4, duration_us=9)
    options = [
        ["-o", "json"], ["-o", "csv", "--http-path", "/*"], ["-o", "table", "--cgroup", "/a"],
        ["-o", "pb", "--comm", "x"], ["-o", "compact", "--stats", "--laddr", "::/0"],
    ]
    codes = Counter()
    for _ in range(scaled(120)):
        data = bytearray(sample)
        for _ in range(dice.choice([1, 1, 2, 8])):
            data[dice.randrange(len(HELLO) // 2, len(data))] ^= 1 << dice.randrange(8)
        if dice.random() < 0.3:
            del data[1 + dice.randrange(len(data) - 1):]
        if dice.random() < 0.2:
            begin = dice.randrange(len(data))
            del data[begin:begin + dice.randrange(20)]
        path = write(place, data)
        done = replay(path, *dice.choice(options))
        codes[done.returncode] += 1
        assert done.returncode in (0, 1, 76), (data.hex(), done)
        assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, data.hex()
        path.unlink()
    assert codes[0] and codes[1], codes
