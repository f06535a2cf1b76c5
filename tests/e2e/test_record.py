# SPDX-License-Identifier: GPL-2.0-only
"""record and replay: a replay prints what subscribe printed live, byte for byte, in every format
and through every filter."""

import json
import os
import subprocess
from collections import Counter

from harness import ALICE, DEADLINE_S, wait_until
from recordings import ALL, CATEGORIES, USERS, account, messages, output, stop
from recordings import cgroups, netwatch, record, replay, scene  # noqa: F401, fixtures
from test_containers import hierarchy

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
