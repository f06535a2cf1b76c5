# SPDX-License-Identifier: GPL-2.0-only
"""netwatch export: what it serves, held against the traffic's own count and read by Prometheus
itself; who may ask it, and how; and the dashboard and the alert rules that rest on it.

NETWATCH_PROMETHEUS_S: for how many seconds Prometheus scrapes, if not a few."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

import netwatch_pb2 as pb
import prometheus
from harness import ALICE, BOB, PYTHON, Client, Collector, wait_until
from prometheus import value

SCRAPED_S = float(os.environ.get("NETWATCH_PROMETHEUS_S", "4"))
DOC = Path(__file__).resolve().parents[2] / "doc"
REQUEST_S = 5  # EXPORT_REQUEST_S


class Export:
    """A running netwatch export."""

    def __init__(self, netwatch, *options, **more):
        self.client = netwatch("export", "--listen", "127.0.0.1:0", "-v", *options, **more)
        self.client.wait_subscribed()
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+)/metrics", self.client.err.text())[1])

    def request(self, method="GET", path="/metrics", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def scrape(self):
        status, _, text = self.request()
        assert status == 200, text
        return text

    def samples(self):
        return prometheus.read(self.scrape())[0]

    def value(self, name, **labels):
        return value(self.samples(), name, **labels)

    def wait_value(self, wanted, name, **labels):
        wait_until(lambda: self.value(name, **labels) == wanted, f"{name} {labels} is {wanted}")


@pytest.fixture
def export(netwatch):
    def start(*options, **more):
        return Export(netwatch, *options, **more)

    return start


class Traffic:
    """hostile_http.py, of ALICE."""

    def __init__(self, place, seconds=0):
        self.port, self.refused = prometheus.free_port(), prometheus.free_port()
        self.command = [PYTHON, place.path / "hostile_http.py", str(self.port), str(self.refused),
                        str(seconds)]

    def ports(self):
        return "--port", f"{self.port},{self.refused}"

    def start(self):
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, user=ALICE, group=ALICE, extra_groups=[], cwd="/",
        )

    def finish(self):
        out, _ = self.process.communicate(timeout=SCRAPED_S + 120)
        assert self.process.returncode == 0
        return json.loads(out)


def check_counts(counts, total):
    """total(name, **labels) agrees with the traffic's own count."""
    n = counts["connections"]
    for role in "client", "server":
        assert total("netwatch_tcp_connects_total", role=role, result="ok") == n
        name = "netwatch_tcp_connection_duration_seconds_count"
        assert total(name, role=role) == n
        assert total("netwatch_tcp_handshake_duration_seconds_count", role=role) == n
    refused = total("netwatch_tcp_connects_total", role="client", result="refused")
    assert refused == counts["refused"] > 0
    # As the kernel counts: a FIN is a byte received, SYN and FIN are bytes acknowledged.
    for direction, more in ("receive", 2 * n), ("transmit", 4 * n):
        told = total("netwatch_tcp_io_bytes_total", direction=direction)
        assert counts["bytes"] <= told <= counts["bytes"] + more, direction
    assert total("netwatch_tcp_rtt_seconds_count") >= 2 * n
    for key, count in counts["plain"].items():
        method, status = key.split()
        for side in "client", "server":
            assert count == total(
                f"http_{side}_request_duration_seconds_count", http_request_method=method,
                http_response_status_code=status,
            ), (side, key)
    assert total("netwatch_events_lost_total") == 0


def test_counts(place, export):
    """Of a user's own traffic, and nobody else's."""
    traffic = Traffic(place)
    mine, others = (export(*traffic.ports(), "-t", uid=uid) for uid in (ALICE, BOB))
    traffic.start()
    counts = traffic.finish()
    mine.wait_value(counts["connections"], "netwatch_tcp_connection_duration_seconds_count",
                    role="server")
    wait_until(lambda: not mine.value("netwatch_tcp_connections"), "all have closed")
    text = mine.scrape()
    samples, types = prometheus.read(text)
    check_counts(counts, lambda name, **labels: value(samples, name, **labels))
    assert value(samples, "netwatch_layer_latency_seconds_count", direction="transmit") > 0
    assert value(samples, "netwatch_layer_latency_seconds_count", layer="app") > 0
    assert value(samples, "netwatch_up") == 1 and value(samples, "netwatch_subscribers") == 1
    assert value(samples, "netwatch_collector_cpu_seconds_total") > 0
    methods = {labels["http_request_method"] for name, labels, _ in samples if "http_" in name
               and "http_request_method" in labels}
    assert methods <= {"GET", "POST", "DELETE", "PUT", "_OTHER"}, methods
    # Nothing of a connection is a label.
    keys = {key for _, labels, _ in samples for key in labels}
    assert keys <= {
        "version", "role", "result", "le", "direction", "type", "kind", "reason", "layer", "where",
        "cause", "state", "lport", "http_request_method", "http_response_status_code", "url_scheme",
    }
    assert value(others.samples(), "netwatch_tcp_connects_total") == 0
    assert not value(others.samples(), "netwatch_events_total")
    prometheus.check_metrics(text)
    assert set(types.values()) == {"counter", "gauge", "histogram"}
    assert mine.client.stop() == 0 and others.client.stop(signal.SIGINT) == 0
    assert not mine.client.out.lines


def test_prometheus(place, export):
    """It takes every line, its totals are those of the traffic; each scrape is well formed."""
    traffic = Traffic(place, SCRAPED_S)
    exporter = export(*traffic.ports(), "-t", "--interval", "500ms")
    server = prometheus.Server(place, f"127.0.0.1:{exporter.port}")
    try:
        traffic.start()
        begin = time.monotonic()
        checked = 0
        while traffic.process.poll() is None:
            prometheus.check_metrics(exporter.scrape())
            checked += 1
            time.sleep(0.2)
        counts = traffic.finish()
        spent = time.monotonic() - begin
        last = 'netwatch_tcp_connection_duration_seconds_count{role="server"}'
        wait_until(lambda: server.query(last) == [counts["connections"]], "it was scraped")

        def total(name, **labels):
            wanted = ",".join(f'{key}="{text}"' for key, text in labels.items())
            return sum(server.query(f"{name}{{{wanted}}}"))

        check_counts(counts, total)
        window = f"{round(spent) + 5}s"
        growth, = server.query(
            f'sum(max_over_time({{__name__="netwatch_tcp_connects_total",result="ok"}}[{window}])'
            f' - min_over_time({{__name__="netwatch_tcp_connects_total",result="ok"}}[{window}]))'
        )
        assert growth == 2 * counts["connections"]
        assert server.query(f"min_over_time(up[{window}])") == [1]
        assert server.query("scrape_samples_scraped")[0] > 100
        assert server.query("scrape_samples_scraped - scrape_samples_post_metric_relabeling") == [0]
        assert checked >= 2
        for expression in dashboard_queries() + rule_queries():
            server.query(expression)
        assert server.rejected() == (0, [])
        print(f"scraped for {spent:.0f} s, {checked} scrapes checked: {counts}")
    finally:
        server.stop()


# --------------------------------------------------------------- what is there


def test_connections_and_backlog(export, actor):
    server, client = actor(uid=ALICE), actor(uid=ALICE)
    listener = server.listen(backlog=7)
    port = listener["port"]
    exporter = export("--port", port, "--interval", "100ms", uid=ALICE)
    name = "netwatch_tcp_connections"
    exporter.wait_value(1, name, state="listen", role="server")
    exporter.wait_value(7, "netwatch_listen_backlog_limit", lport=str(port))
    told = [client.connect(address="127.0.0.1", port=port) for _ in range(3)]
    exporter.wait_value(3, "netwatch_listen_backlog", lport=str(port))
    exporter.wait_value(3, name, state="established", role="client")
    accepted = server.accept(fd=listener["fd"])
    exporter.wait_value(2, "netwatch_listen_backlog", lport=str(port))
    client.shutdown(fd=told[0]["fd"])
    exporter.wait_value(1, name, state="fin_wait2", role="client")
    exporter.wait_value(1, name, state="close_wait", role="server")
    server.close(fd=accepted["fd"])
    exporter.wait_value(None, name, state="close_wait")
    exporter.wait_value(2, name, state="established", role="client")


def test_older_connections(export, actor):
    """Bytes of before are not counted, nor is the handshake."""
    server, client = actor(uid=ALICE), actor(uid=ALICE)
    listener = server.listen()
    told = client.connect(address="127.0.0.1", port=listener["port"])
    accepted = server.accept(fd=listener["fd"])
    client.send(fd=told["fd"], count=5000)
    server.receive(fd=accepted["fd"], count=5000)
    exporter = export("--port", listener["port"], "--interval", "100ms", uid=ALICE)
    exporter.wait_value(2, "netwatch_tcp_connections", state="established", role="unknown")
    wait_until(lambda: exporter.value("netwatch_tcp_rtt_seconds_count") >= 2, "both are reported")
    client.send(fd=told["fd"], count=70)
    server.receive(fd=accepted["fd"], count=70)
    exporter.wait_value(70, "netwatch_tcp_io_bytes_total", direction="receive")
    exporter.wait_value(70, "netwatch_tcp_io_bytes_total", direction="transmit")
    assert exporter.value("netwatch_tcp_connects_total") == 0


@pytest.mark.parametrize("ports", [0, 1])
def test_backlog_ports(export, actor, ports):
    """Beyond them there is one series."""
    server = actor(uid=ALICE)
    listeners = [server.listen(backlog=5)["port"] for _ in range(3)]
    exporter = export("--port", ",".join(map(str, listeners)), "--backlog-ports", ports, uid=ALICE)
    exporter.wait_value(5 * (3 - ports), "netwatch_listen_backlog_limit", lport="other")
    assert exporter.value("netwatch_listen_backlog_limit") == 15


def test_events(export, traffic):
    """Fewer categories: what they do not tell is not there, or stays zero."""
    exporter = export("--events", "conn", "--port", 1)
    samples, _ = prometheus.read(exporter.scrape())
    assert value(samples, "netwatch_up") == 1
    assert value(samples, "netwatch_tcp_io_bytes_total") == 0


# ------------------------------------------------------- losses, and their end


def scraped(client):
    wait_until(lambda: b"metrics" in b"".join(client.err.lines), "it serves")
    exporter = Export.__new__(Export)
    exporter.client = client
    exporter.port = int(re.search(r"127\.0\.0\.1:(\d+)/metrics", client.err.text())[1])
    return exporter


def live(stub, epoch=1, events=()):
    """A subscription, and the status that is asked for at once."""
    peer = stub.accept()
    peer.say_hello(epoch)
    request = peer.take("subscribe")
    for event in events:
        peer.event(**event)
    peer.say(subscribed=pb.Subscribed())
    answer_status(stub, epoch)
    return peer, request.subscribe


def answer_status(stub, epoch=1, **fields):
    with stub.accept() as peer:
        peer.say_hello(epoch)
        peer.take("status")
        peer.say(status=pb.Status(uptime_s=7, unseen=3, cpu_us=1500000, **fields))
        peer.say(bye=pb.Bye(reason=pb.Bye.DONE))


def test_losses_and_restart(netwatch, stub):
    """What was lost is counted where; a time without a collector is a gap; nothing is reset."""
    client = netwatch("export", "--listen", "127.0.0.1:0", "--interval", "1h", socket=stub.path)
    peer, subscribe = live(stub, events=[{"connection": 1, "event": pb.Conn.EXISTING},
                                         {"connection": 2, "event": pb.Conn.EXISTING}])
    assert subscribe.closed and subscribe.existing and subscribe.category == ["conn"]
    exporter = scraped(client)
    exporter.wait_value(2, "netwatch_tcp_connections")
    peer.event(connection=3, event=pb.Conn.ESTABLISHED)
    peer.lost(5)
    peer.say(event=pb.Event(lost=pb.Lost(cause=pb.Lost.SUBSCRIBER_QUEUE, count=2)))
    exporter.wait_value(2, "netwatch_events_lost_total", where="queue")
    assert exporter.value("netwatch_events_lost_total", where="kernel") == 5
    assert exporter.value("netwatch_events_unseen_total") == 3
    assert exporter.value("netwatch_collector_cpu_seconds_total") == 1.5
    assert exporter.value("netwatch_collector_uptime_seconds") == 7
    peer.close()
    exporter.wait_value(0, "netwatch_up")
    peer, _ = live(stub, epoch=2, events=[{"connection": 2, "event": pb.Conn.EXISTING}])
    exporter.wait_value(1, "netwatch_up")
    assert exporter.value("netwatch_stream_gaps_total", cause="restart") == 1
    assert exporter.value("netwatch_events_lost_total") == 7
    assert exporter.value("netwatch_tcp_connections") == 1
    assert exporter.value("netwatch_tcp_connects_total", result="ok") == 1
    client.process.terminate()
    peer.finish()
    assert client.wait() == 0


def test_lost_end(netwatch, stub):
    """A connection of which no report comes any more is gone, though nobody told its end."""
    client = netwatch("export", "--listen", "127.0.0.1:0", "--interval", "100ms", socket=stub.path)
    peer = stub.accept()
    peer.take("hello")
    peer.say(hello=pb.Hello(major=1, epoch=1, scope=pb.ALL, category=["conn", "tcpinfo"]))
    assert peer.take("subscribe").subscribe.interval_ms == 100
    peer.event(connection=1, event=pb.Conn.EXISTING)
    peer.say(subscribed=pb.Subscribed())
    stub.close()  # status is asked for in vain from here on
    exporter = scraped(client)
    exporter.wait_value(1, "netwatch_tcp_connections")
    exporter.wait_value(None, "netwatch_tcp_connections")
    assert exporter.value("netwatch_up") == 1
    client.process.terminate()
    peer.finish()
    assert client.wait() == 0
    stub.open()


@pytest.mark.own_collector
def test_collector_restarts(collector, start_collector, export, actor):
    server, client = actor(uid=ALICE), actor(uid=ALICE)
    port = server.server()
    exporter = export("--port", port, uid=ALICE)
    client.connects(count=3, address="127.0.0.1", port=port)
    name, labels = "netwatch_tcp_connects_total", {"role": "client", "result": "ok"}
    exporter.wait_value(3, name, **labels)
    collector.stop()
    exporter.wait_value(0, "netwatch_up")
    assert exporter.value(name, **labels) == 3
    start_collector(socket=collector.socket)
    exporter.wait_value(1, "netwatch_up")
    client.connects(count=2, address="127.0.0.1", port=port)
    exporter.wait_value(5, name, **labels)
    exporter.wait_value(1, "netwatch_stream_gaps_total", cause="restart")
    assert exporter.client.stop() == 0


def test_no_collector(netwatch):
    client = netwatch("export", "--listen", "127.0.0.1:0", socket="/nowhere")
    assert client.wait() == 3


# ----------------------------------------------------------------- who asks it


def test_requests(export):
    exporter = export("--port", 1)
    status, headers, text = exporter.request()
    assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert int(headers["Content-Length"]) == len(text) and headers["Connection"] == "close"
    status, headers, text = exporter.request("HEAD")
    assert status == 200 and int(headers["Content-Length"]) > 1000 and not text
    assert exporter.request(path="/metrics?x=1")[0] == 200
    for path in "/", "/metrics/", "/metrics/../etc/passwd", "/%6detrics2", "/" + "a" * 4000:
        assert exporter.request(path=path)[0] == 404, path
    for method in "POST", "PUT", "DELETE", "OPTIONS", "PATCH":
        status, headers, _ = exporter.request(method)
        assert status == 405 and headers["Allow"] == "GET, HEAD"
    assert exporter.request("BREW")[0] in (405, 501)
    assert exporter.request(path="/metrics", X="x" * 20000)[0] in (400, 413)
    assert exporter.request("POST", body="x" * 10000)[0] == 413
    prometheus.read(exporter.scrape())


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1", 200), ("127.0.0.1:9477", 200), ("localhost", 200), ("LOCALHOST:1", 200),
    ("[::1]:9477", 200), ("evil.test", 403), ("evil.test:9477", 403), ("localhost.evil.test", 403),
    ("127.0.0.1.evil.test", 403), ("[evil]", 403), ("x" * 500, 403),
])
def test_host(shared_export, host, status):
    """A name of somebody else's that was made to point here is refused."""
    assert shared_export.request(Host=host)[0] == status


@pytest.fixture(scope="module")
def shared_export(request):
    """With a collector of its own: the tests' must have no subscriber in between."""
    place = request.config.netwatch_place
    collector = Collector(place)
    client = None

    def start(*args):
        nonlocal client
        client = Client(place, collector.socket, *args)
        return client

    yield Export(start, "--port", "1")
    assert client.stop() == 0
    collector.stop()


def test_many_connections(shared_export):
    """Those who only hold connections do not keep others out."""
    idle = []
    try:
        for _ in range(300):
            idle.append(socket.create_connection(("127.0.0.1", shared_export.port), timeout=30))
            idle[-1].sendall(b"GET /metrics HTTP/1.1\r\n")
            if len(idle) % 100 == 0:
                shared_export.scrape()
        shared_export.scrape()
        descriptors = len(os.listdir(f"/proc/{shared_export.client.pid}/fd"))
        assert descriptors < 64 + 30, descriptors
    finally:
        for connection in idle:
            connection.close()


def seconds_until_closed(connection, drip=b""):
    """With a byte from time to time."""
    begin = time.monotonic()
    connection.settimeout(0.5)
    while True:
        try:
            if not connection.recv(65536):
                return time.monotonic() - begin
        except TimeoutError:
            try:
                connection.sendall(drip)
            except OSError:
                return time.monotonic() - begin
        except ConnectionError:
            return time.monotonic() - begin
        assert time.monotonic() - begin < 60


def test_slow_clients(shared_export):
    """Who says nothing, who says little, and who does not read."""
    silent, slow = (socket.create_connection(("127.0.0.1", shared_export.port)) for _ in range(2))
    slow.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
    ended = {}
    threads = [
        threading.Thread(target=lambda: ended.update(slow=seconds_until_closed(slow, b"x"))),
        threading.Thread(target=lambda: ended.update(silent=seconds_until_closed(silent))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert REQUEST_S - 1 <= ended["slow"] < 30 and ended["silent"] < 30, ended
    shared_export.scrape()


def test_addresses(netwatch, export):
    exporter = export("--port", 1)
    taken = netwatch("export", "--listen", f"127.0.0.1:{exporter.port}")
    assert taken.wait() == 1 and "Address already in use" in taken.err.text()
    for bad in "127.0.0.1", "localhost:1", ":9477", "127.0.0.1:65536", "::1:80", "[::1]", "[::1:80":
        client = netwatch("export", "--listen", bad)
        assert client.wait() == 2 and "--listen" in client.err.text(), bad
    for option in ["--backlog-ports", "1025"], ["--backlog-ports", "-1"], ["-o", "json"]:
        assert netwatch("export", *option).wait() == 2


def test_loopback_of_both_families(netwatch):
    client = netwatch("export", "--listen", "[::1]:0", "-v", "--port", "1").wait_subscribed()
    port = int(re.search(r"http://\[::1\]:(\d+)/metrics", client.err.text())[1])
    with socket.create_connection(("::1", port)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 200 OK")
    assert client.stop() == 0


def test_listens_on_the_loopback():
    """By default, as the contract says."""
    text = (DOC / "interface.md").read_text() + (DOC / "netwatch.1").read_text()
    assert "127.0.0.1:9477" in text.replace("\\-", "-")


# --------------------------------------------------------------- the live page


def live_path(exporter):
    wait_until(lambda: "live page" in exporter.client.err.text(), "it tells the live page")
    return re.search(r"live page: http://127\.0\.0\.1:\d+(/live/[0-9a-f]{32}/)\n",
                     exporter.client.err.text())[1]


def look(exporter, path, after=""):
    status, headers, text = exporter.request(path=f"{path}events?after={after}")
    assert status == 200 and headers["Content-Type"] == "application/json"
    return json.loads(text)


def test_live_events(place, export, netwatch):
    """From when somebody looks on: the same objects as the stream has, but for reports."""
    traffic = Traffic(place)
    exporter = export(*traffic.ports(), uid=ALICE)
    path = live_path(exporter)
    begin = look(exporter, path)
    assert begin == {"events": [], "missed": 0, "next": 1}
    stream = netwatch("subscribe", "--events", "conn,http,error,retransmit", "-a", "--no-existing",
                      "-v", "-o", "json", *traffic.ports(), uid=ALICE).wait_subscribed()
    traffic.start()
    traffic.finish()
    wanted = stream.stopped_events()
    wait_until(lambda: look(exporter, path)["next"] > len(wanted), "all have come")
    seen, after = [], begin["next"]
    while answer := look(exporter, path, after):
        assert not answer["missed"]
        seen += answer["events"]
        after = answer["next"]
        if not answer["events"]:
            break
    assert len(seen) == len(wanted) > 100

    def key(event):
        return json.dumps(event, sort_keys=True)

    assert sorted(map(key, seen)) == sorted(map(key, wanted))


def test_live_page(place, export):
    """Its script fills the table; what it got is text, and hides nothing."""
    node = shutil.which("node")
    if not node:
        pytest.skip("NOT TRIED: the script of the live page; there is no node")
    traffic = Traffic(place)
    exporter = export(*traffic.ports(), uid=ALICE)
    path = live_path(exporter)
    page = subprocess.Popen(
        [node, place.path / "live_page.js", f"http://127.0.0.1:{exporter.port}{path}", "50"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    line = page.stdout.readline()
    assert line == "looking\n", page.communicate()
    traffic.start()
    traffic.finish()
    out, err = page.communicate(timeout=60)
    assert page.returncode == 0, err
    rows = json.loads(out)
    assert all(len(row) == 7 for row in rows)
    assert {row[1] for row in rows} >= {"conn", "http"}
    assert any(row[2] == "ESTABLISHED" and f"127.0.0.1:{traffic.port}" in row[3:5] for row in rows)
    assert any('target=/"' in row[6] for row in rows)
    assert not any(re.search("[\0-\x1f\x7f-\x9f\u202a-\u202e]", cell) for row in rows for cell in row)


def test_live_misses(export, actor):
    """More than it keeps: it says how many are missing."""
    client = actor(uid=ALICE)
    port = client.refused_port()
    exporter = export("--port", port, "--events", "conn", uid=ALICE)
    path = live_path(exporter)
    begin = look(exporter, path)["next"]
    client.failures(count=700, address="127.0.0.1", port=port)
    exporter.wait_value(700, "netwatch_tcp_connects_total", result="refused")
    answer = look(exporter, path, begin)
    assert len(answer["events"]) == 1024 and answer["missed"] == 1400 - 1024
    assert answer["next"] == begin + 1400


def test_who_may_look(shared_export):
    """Who knows the address, by an address; nobody else, and with nothing from elsewhere."""
    path = live_path(shared_export)
    status, headers, text = shared_export.request(path=path)
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script>|<style|style=|\bon\w+=|https?:", text)
    for name in re.findall(r'(?:href|src)="([^"]+)"', text):
        assert shared_export.request(path=path + name)[0] == 200
    wrong = "f" if path[6] != "f" else "e"
    for other in (
        "/live", "/live/", "/live/x", f"/live/{wrong}{path[7:]}", path[:-1], f"{path[:-2]}{wrong}/",
        path + "x", path + "../../metrics", f"/live/{'0' * 32}/events", path[:20] + "/",
    ):
        status, _, text = shared_export.request(path=other)
        assert status == (404 if other != path[:-2] + path[-2] + "/" else 200), other
    for name in "", "events", "page.js":
        assert shared_export.request(path=path + name, Host="evil.test")[0] == 403
        assert shared_export.request("POST", path=path + name)[0] == 405
    for after in "-1", "x", "99999999999999999999", "0", "1&x=2":
        assert look(shared_export, path, after)["events"] == []


def test_no_live_page_beyond_the_loopback(netwatch):
    client = netwatch("export", "--listen", "0.0.0.0:0", "-v", "--port", "1").wait_subscribed()
    exporter = Export.__new__(Export)
    exporter.port = int(re.search(r"http://0\.0\.0\.0:(\d+)/metrics", client.err.text())[1])
    assert exporter.request()[0] == exporter.request(Host="any.test")[0] == 200
    assert exporter.request(path="/live/")[0] == 404 and "live" not in client.err.text()
    assert client.stop() == 0


# ------------------------------------------------- the dashboard and the rules


def dashboard():
    return json.loads((DOC / "netwatch-dashboard.json").read_text())


def dashboard_queries():
    """Expressions of all panels and variables, with Grafana's variables filled in."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            if "expr" in node:
                found.append(node["expr"])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(dashboard())
    assert len(found) >= 10
    for name, text in ("$__rate_interval", "1m"), ("$instance", ".*"), ("$job", ".*"):
        found = [expression.replace(name, text) for expression in found]
    assert not any("$" in expression for expression in found)
    return found


def rule_queries():
    """Of each rule, with its lines joined."""
    text = (DOC / "netwatch.rules.yml").read_text()
    found = re.findall(r"^( +)(?:- )?expr: (?:\|-?\n((?:\1 +.*\n)+)|(.*)\n)", text, re.M)
    assert len(found) >= 5
    return [" ".join((block or line).split()) for _, block, line in found]


def test_rules():
    said = prometheus.check_rules(DOC / "netwatch.rules.yml")
    assert f"{len(rule_queries())} rules found" in said, said


def test_dashboard_queries(tmp_path):
    rules = [{"record": f"query:{i}", "expr": text} for i, text in enumerate(dashboard_queries())]
    path = tmp_path / "dashboard.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    prometheus.check_rules(path)


def test_queries_name_what_is_served(export):
    """Every metric, and every label that they ask for."""
    _, types = prometheus.read(export("--port", 1).scrape())
    served = prometheus.names(types) | {"up"}
    for expression in dashboard_queries() + rule_queries():
        named = re.findall(r"\b(?:netwatch|http)_\w+(?=[{\[ )]|$)", expression)
        named = [name for name in named if not name.startswith("http_re")]  # labels
        assert named, expression
        assert set(named) <= served, expression


def test_dashboard_is_whole():
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    for panel in panels:
        assert panel["title"] and panel["targets"] and panel["datasource"]["uid"] == "${datasource}"
