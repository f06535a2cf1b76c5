# SPDX-License-Identifier: GPL-2.0-only
"""netwatch log DIR: the three files at any moment, under hostile HTTP, held against the traffic's
own word and judged by Prometheus' promtool; restarts, rotation, losses, full disks."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

import netwatch_pb2 as pb
import prometheus
import wire
from harness import ALICE, BOB, PYTHON, wait_until, with_more_time

METRICS = {"connects.log": "connection", "packets.log": "packet", "err.log": "error"}


class Log:
    """A running netwatch log, and its files."""

    def __init__(self, netwatch, path, *options, subscribed=True, **more):
        self.path = path
        self.client = netwatch("log", path, "-v", "--stats", *options, **more)
        if subscribed:
            self.client.wait_subscribed()

    def text(self, name):
        return (self.path / name).read_text()

    def lines(self, name):
        """The labels of its lines."""
        samples, types = prometheus.read(self.text(name))
        assert types == {METRICS[name]: "gauge"}
        assert all((metric, number) == (METRICS[name], 1) for metric, _, number in samples)
        return [labels for _, labels, _ in samples]

    def connections(self):
        return {int(line["sock"]): line for line in self.lines("connects.log")}

    def wait_connections(self, wanted):
        wait_until(lambda: set(self.connections()) == wanted, f"connects.log has {wanted}")

    def stop(self, number=signal.SIGTERM):
        assert self.client.stop(number) == 0, self.client
        assert not self.client.out.lines
        return self


@pytest.fixture
def directory(place):
    def make(owner=0):
        path = Path(place.new_path("logs"))
        path.mkdir()
        os.chown(path, owner, owner)
        return path

    return make


@pytest.fixture
def log(netwatch, directory):
    def start(*options, path=None, uid=0, **more):
        return Log(netwatch, path or directory(uid), *options, uid=uid, **more)

    return start


@pytest.fixture
def pair(actor):
    """A server of BOB and a client of ALICE, who are not connected yet."""
    server, client = actor(uid=BOB), actor(uid=ALICE, comm=b'a"b\\c')
    return server, client, server.listen()


def talk(pair, *texts):
    """Opens a connection, on which client and server speak in turn; both ends."""
    server, client, listener = pair
    told = client.connect(address="127.0.0.1", port=listener["port"])
    accepted = server.accept(fd=listener["fd"])
    ends = (client, told), (server, accepted)
    for index, text in enumerate(texts):
        (speaker, end), (hearer, other) = ends if index % 2 == 0 else ends[::-1]
        hearer.tell("receive", fd=other["fd"], count=len(text))
        speaker.say(fd=end["fd"], data=text.encode().hex(), piece=0)
        hearer.answer()
    return told, accepted


def hang_up(pair, told, accepted):
    server, client, _ = pair
    client.close(fd=told["fd"])
    server.receive_end(fd=accepted["fd"])
    server.close(fd=accepted["fd"])


# ------------------------------------------------------------------ the files


def test_connects(log, pair):
    """Who is connected now; pid, ends and sides as the processes themselves say."""
    told, accepted = talk(pair, "x")
    logs = log("--port", pair[2]["port"], "--interval", "100ms")
    new_told, new_accepted = talk(pair, "x")
    listening = [line for line in logs.lines("connects.log") if "dst" not in line]
    assert len(listening) == 1 and listening[0]["state"] == "LISTEN"
    ends = {end["id"]: end for end in (told, accepted, new_told, new_accepted)}
    logs.wait_connections({*ends, int(listening[0]["sock"])})
    wait_until(lambda: all("pid" in line for line in logs.lines("connects.log")), "accepted")
    found = logs.connections()
    for id, end in ends.items():
        assert found[id]["src"] == f"{end['laddr']}:{end['lport']}"
        assert found[id]["dst"] == f"{end['raddr']}:{end['rport']}"
        assert (found[id]["pid"], found[id]["uid"]) == (str(end["pid"]), str(end["uid"]))
        assert found[id]["state"] == "ESTABLISHED"
    assert found[new_told["id"]]["is_server"] == "0" and found[new_told["id"]]["comm"] == 'a"b\\c'
    assert found[new_accepted["id"]]["is_server"] == "1"
    # What was not asked for is absent.
    asked = {"pid", "sock", "src", "dst", "is_server", "comm", "uid", "state"}
    assert all(set(line) <= asked for line in found.values())
    hang_up(pair, new_told, new_accepted)
    logs.wait_connections({told["id"], accepted["id"], int(listening[0]["sock"])})
    for name in METRICS:
        prometheus.check_metrics(logs.text(name))
    logs.stop()


SEED = {
    "backlog", "maxbacklog", "rwnd", "cwnd", "ssthresh", "sndbuf", "wmem_queued", "rx_bytes",
    "tx_bytes", "srtt", "duration", "total_retrans",
}


def test_letters(log, pair):
    """-x and -r add the seed's labels, -a keeps what has closed."""
    logs = log("-axr", "--port", pair[2]["port"], "--interval", "100ms")
    told, accepted = talk(pair, "12345", "123")
    wait_until(lambda: logs.connections().get(told["id"], {}).get("rx_bytes") == "3", "a report")
    found = logs.connections()
    one = found[told["id"]]
    # ssthresh is infinite; SYN counts as acknowledged.
    assert set(one) & SEED == SEED - {"backlog", "maxbacklog", "ssthresh"}
    assert one["tx_bytes"] == "6" and one["total_retrans"] == "0" and int(one["cwnd"]) > 0
    assert one["fast_retrans"] == one["timeout_retrans"] == "0"
    listening, = [line for line in found.values() if line["state"] == "LISTEN"]
    assert listening["maxbacklog"] == "1024" and listening["backlog"] == "0"
    hang_up(pair, told, accepted)
    ends = {told["id"], accepted["id"]}
    wait_until(lambda: {id for id, line in logs.connections().items()
                        if line["state"] == "CLOSE"} == ends, "both are closed")
    found = logs.connections()
    assert found[told["id"]]["closed_by"] == "LOCAL"
    assert found[accepted["id"]]["closed_by"] == "REMOTE"
    assert int(found[told["id"]]["rx_bytes"]) >= 3 and int(found[told["id"]]["duration"]) > 0
    prometheus.check_metrics(logs.stop().text("connects.log"))


def test_counters_of_a_short_connection(log, pair):
    """What closed before its first report has the counters of its end, which come behind CLOSE."""
    logs = log("-ax", "--events", "conn", "--port", pair[2]["port"], "--interval", "1s")
    told, accepted = talk(pair, "12345", "123")
    hang_up(pair, told, accepted)
    complete = SEED - {"backlog", "maxbacklog", "ssthresh"}

    def counted(id):
        line = logs.connections().get(id, {})
        return line.get("state") == "CLOSE" and set(line) & SEED == complete

    wait_until(lambda: counted(told["id"]) and counted(accepted["id"]), "both with counters")
    logs.stop()


def test_packets(netwatch, log, pair):
    """The same segments as the stream has, with their times."""
    port = pair[2]["port"]
    logs = log("-t", "--events", "packet", "--port", port)
    stream = netwatch("subscribe", "-t", "--events", "packet", "--port", port, "-v", "-o", "json",
                      "--no-existing").wait_subscribed()
    hang_up(pair, *talk(pair, "hello", "world!"))
    stream.wait_events(18)
    events = stream.stopped_events()
    logs.stop()
    lines = logs.lines("packets.log")

    def us(nanoseconds):
        return None if nanoseconds is None else str((nanoseconds + 500) // 1000)

    wanted = []
    for event in events:
        packet, rx = event["packet"], event["packet"]["direction"] == "RX"
        row = {
            "sock": event["connection"].get("id"), "seq": packet["seq"], "ack": packet.get("ack"),
            "mac_time": us(packet.get("mac_ns" if rx else "qdisc_ns")),
            "ip_time": us(packet.get("ip_ns")), "tcp_time": us(packet.get("tcp_ns")),
            "app_time": us(packet.get("app_ns")),
            "driver_time": None if rx else us(packet.get("mac_ns")),
            "length": packet["length"], "rx": int(rx),
        }
        wanted.append({key: str(value) for key, value in row.items() if value is not None})
    told = [{key: line[key] for key in line if key not in ("time", "offset")} for line in lines]
    assert sorted(map(str, map(sorted, map(dict.items, told)))) == sorted(
        map(str, map(sorted, map(dict.items, wanted))))
    assert any("app_time" in line for line in told) and any("mac_time" in line for line in told)
    assert abs(float(lines[0]["time"]) - time.time()) < 600
    prometheus.check_metrics(logs.text("packets.log"))
    # Without a category its file has nothing but its head.
    assert not logs.lines("err.log") and not logs.lines("connects.log")


def test_errors(log, actor):
    client = actor(uid=ALICE)
    port = client.refused_port()
    logs = log("-e", "--events", "conn", "--port", port)
    client.connect(address="127.0.0.1", port=port)
    wait_until(lambda: len(logs.lines("err.log")) >= 1, "the reset")
    logs.stop()
    lines = logs.lines("err.log")
    reset, = [line for line in lines if line["kind"] == "RESET_RECEIVED"]
    assert reset["reason"] == "RESET_RECEIVED" and reset["dst"] == f"127.0.0.1:{port}"
    assert reset["sock"] and "seq" not in reset
    prometheus.check_metrics(logs.text("err.log"))


HTTP = [
    ('GET /a"b\\c HTTP/1.1\r\nHost: h\r\n\r\n', 'GET /a"b\\c HTTP/1.1'),
    ("GET /\x1b[2J\x7f HTTP/1.1\r\nHost: h\r\n\r\n", None),
    ("GET /" + "q" * 8192 + " HTTP/1.1\r\nHost: h\r\n\r\n", "GET /" + "q" * 1531),
    ("GET /" + '"' * 8192 + " HTTP/1.1\r\nHost: h\r\n\r\n", "GET /" + '"' * 1531),
    ("GET /\u00e9\u202e HTTP/1.1\r\nHost: h\r\n\r\n", None),
    ("GET /plain HTTP/1.1\r\nHost: h\r\n\r\n", "GET /plain HTTP/1.1"),
]


def test_http(log, pair):
    """http_info is the message's first line, escaped and bounded, with its direction."""
    logs = log("-i", "--port", pair[2]["port"])
    for request, _ in HTTP:
        answer = 'HTTP/1.1 404 "no\\\r\nContent-Length: 0\r\n\r\n'
        hang_up(pair, *talk(pair, request, answer))
    name = "packets.log"

    def has_last():
        return [line for line in logs.lines(name) if "/plain" in line.get("http_info", "")
                and line["rx"] == "1"]

    wait_until(has_last, "the last request has come")
    logs.stop()
    lines = [line for line in logs.lines(name) if "http_info" in line]
    for request, wanted in HTTP:
        if wanted:
            found = [line for line in lines if line["http_info"] == wanted]
            assert [line["rx"] for line in found] == ["0", "1"], wanted
    answers = [line for line in lines if line["http_info"] == 'HTTP/1.1 404 "no\\']
    assert {line["rx"] for line in answers} == {"0", "1"} and len(answers) >= 8
    assert all(line["http_time"].isdigit() for line in answers)
    assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f\u202e]", logs.text(name))
    prometheus.check_metrics(logs.text(name))


class Reader:
    """Reads all files again and again; at any moment they are whole."""

    def __init__(self, path, promtool):
        self.path, self.promtool = path, promtool
        self.reads = self.checks = 0
        self.failure = None
        self.ended = False
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        try:
            while not self.ended:
                for path in [*self.path.glob("*.log"), *self.path.glob("*.log.?")]:
                    try:
                        data = path.read_bytes()
                    except FileNotFoundError:
                        continue  # rotated away
                    self.check(path, data)
        except BaseException as error:  # told to the test
            self.failure = error

    def check(self, path, data):
        metric = METRICS[path.name.split(".log")[0] + ".log"]
        head, kind, *_ = data.split(b"\n", 2)
        assert head.startswith(f"# HELP {metric} ".encode()), path
        assert kind == f"# TYPE {metric} gauge".encode(), path
        assert data.endswith(b"\n"), (path, data[-300:])
        last = data[data.rindex(b"\n", 0, -1) + 1 :]
        assert last.startswith(b"#") or last.endswith(b"} 1\n"), (path, last)
        self.reads += 1
        if self.promtool and self.reads % 20 == 0:
            prometheus.check_metrics(data)
            self.checks += 1

    def finish(self):
        self.ended = True
        self.thread.join()
        if self.failure:
            raise self.failure
        assert self.reads > 50


def test_at_any_moment(place, log):
    """Under hostile traffic, while files are rotated: two readers, one of them promtool."""
    promtool = prometheus.program("promtool")
    port, refused = prometheus.free_port(), prometheus.free_port()
    logs = log("-itxre", "--port", f"{port},{refused}", "--max-size", "64K", "--interval", "100ms",
               uid=ALICE)
    readers = [Reader(logs.path, None), Reader(logs.path, promtool)]
    try:
        subprocess.run(
            [PYTHON, place.path / "hostile_http.py", str(port), str(refused), "3"], check=True,
            stdout=subprocess.DEVNULL, user=ALICE, group=ALICE, extra_groups=[], timeout=120,
        )
    finally:
        for reader in readers:
            reader.ended = True
    for reader in readers:
        reader.finish()
    logs.stop()
    assert readers[1].checks > 2
    for path in sorted(logs.path.iterdir()):
        prometheus.check_metrics(path.read_bytes())
        prometheus.read(path.read_text())  # no series twice
        assert path.stat().st_size <= 64 << 10 and not path.stat().st_mode & 0o027
    old = sorted(path.name for path in logs.path.glob("packets.log.?"))
    assert old and old == [f"packets.log.{i + 1}" for i in range(len(old))] and len(old) <= 4


# ------------------------------------------------------------ begin and end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_restart(log, pair, number):
    """What an earlier run left is gone on with; of a last line that is not whole, nothing."""
    logs = log("--port", pair[2]["port"])
    hang_up(pair, *talk(pair, "one"))
    wait_until(lambda: len(logs.lines("packets.log")) > 12, "its packets")
    if number == signal.SIGKILL:
        logs.client.kill()
    else:
        logs.stop(number)
    before = logs.text("packets.log")
    prometheus.read(before)
    with open(logs.path / "packets.log", "a") as file:
        file.write('packet{sock="1",seq="')
    again = log("--port", pair[2]["port"], path=logs.path)
    hang_up(pair, *talk(pair, "two"))
    count = len(prometheus.read(before)[0])
    wait_until(lambda: len(again.lines("packets.log")) > count + 12, "more packets")
    again.stop()
    assert again.text("packets.log").startswith(before)
    prometheus.check_metrics(again.text("packets.log"))
    assert sorted(path.name for path in logs.path.iterdir()) == sorted(METRICS)


def test_duration_and_account(log, pair):
    def all_is_told(seconds):
        logs = log("--port", pair[2]["port"], "--duration", f"{seconds}s", "--interval", "1000h",
                   subscribed=False)
        wait_until(lambda: "subscribed" in logs.client.err.text()
                   or logs.client.process.poll() is not None, "it begins, or is over")
        hang_up(pair, *talk(pair, "x"))
        assert logs.client.wait() == 0
        totals = logs.client.totals()
        assert totals["matched"] == totals["delivered"]
        return totals["matched"] > 12

    assert with_more_time(all_is_told, 1, 5, 30)


def test_directories(log, netwatch, directory, place):
    """A directory that is not there, is none, or belongs to others; two at once."""
    missing = place.new_path("missing")
    for path, reason in (missing, "No such file"), (place.client, "Not a directory"):
        client = netwatch("log", path)
        assert client.wait() == 5 and reason in client.err.text() and str(path) in client.err.text()
    client = netwatch("log", directory(), uid=ALICE)
    assert client.wait() == 5 and "Permission denied" in client.err.text()
    logs = log("--port", 1)
    client = netwatch("log", logs.path)
    assert client.wait() == 1 and "another netwatch log" in client.err.text()
    path = directory()
    (path / "err.log").mkdir()
    client = netwatch("log", path)
    assert client.wait() == 5 and "err.log" in client.err.text()
    path = directory()
    (path / "packets.log").symlink_to("/etc/hostname")
    client = netwatch("log", path)
    assert client.wait() == 5 and "packets.log" in client.err.text()
    for words in [], ["a", "b"], ["a", "-o", "json"], ["a", "--max-size", "1K"], \
            ["a", "--max-size", "10X"], ["a", "--max-size", ""], ["a", "-c", "1"]:
        assert netwatch("log", *words).wait() == 2, words
    assert netwatch("log", directory(), socket="/nowhere").wait() == 3


def test_full_disk(log, pair, directory):
    """Exit 5, which names the file; what is there is whole."""
    path = directory()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "none", path]
    subprocess.run(mount, check=True)
    try:
        logs = log("--port", pair[2]["port"], "--interval", "1h", path=path)
        for _ in range(300):
            if logs.client.process.poll() is not None:
                break
            hang_up(pair, *talk(pair, "x"))
        assert logs.client.wait() == 5, logs.client
        assert re.search(r"cannot write .*packets.log: No space left", logs.client.err.text())
        for name in METRICS:
            prometheus.read(logs.text(name))
    finally:
        subprocess.run(["umount", path], check=True)


# ----------------------------------------------------------------------- losses


def test_after_a_loss(netwatch, stub, directory):
    """An end that was lost leaves nobody in connects.log: it asks what there is."""
    logs = Log(netwatch, directory(), "--interval", "100ms", subscribed=False, socket=stub.path)
    peer = stub.live()
    logs.client.wait_subscribed()
    for id in 1, 2:
        peer.event(connection=id, event=pb.Conn.ESTABLISHED)
    logs.wait_connections({1, 2})
    peer.lost(5)
    with stub.accept() as other:
        other.say_hello()
        other.take("list")
        for id in 2, 3:
            other.event(connection=id, event=pb.Conn.EXISTING)
        other.say(bye=pb.Bye(reason=pb.Bye.DONE))
    logs.wait_connections({2, 3})
    assert "events were lost" in logs.client.err.text()
    logs.client.process.terminate()
    peer.finish()
    assert logs.client.wait() == 0


def test_reconnect(netwatch, stub, directory):
    logs = Log(netwatch, directory(), "--interval", "100ms", "--reconnect", subscribed=False,
               socket=stub.path)
    peer = stub.live()
    logs.client.wait_subscribed()
    peer.event(connection=1, event=pb.Conn.ESTABLISHED)
    logs.wait_connections({1})
    peer.close()
    peer = stub.accept()
    peer.say_hello(epoch=2)
    peer.take("subscribe")
    peer.event(connection=2, event=pb.Conn.EXISTING)
    peer.say(subscribed=pb.Subscribed())
    logs.wait_connections({2})
    logs.client.process.terminate()
    peer.finish()
    assert logs.client.wait() == 0
