# SPDX-License-Identifier: GPL-2.0-only
"""Category http with nginx's log as the witness: line by line what was asked and answered, on the
server's side and on the clients', and how long slow answers took. nginx is not installed, which
would start a server, but unpacked in the tests' cache."""

import http.server
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from harness import PYTHON, end_process, free_port, scaled, wait_until
from talk import HTTP, finish

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kernels"))
CLIENTS = 4
REQUESTS = scaled(2500)  # of each client
SLOW = 20
DELAYS_S = 0.1, 0.2
SIZES = 0, 1, 1000, 30000, 1 << 20, 10 << 20

NGINX = """
user root; daemon off; master_process off; pid {path}/pid; error_log {path}/error;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;
    uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;
    log_format line '$remote_addr $remote_port $request_method $request_uri $status $request_time';
    access_log {path}/access line; keepalive_requests 1000000; sendfile on; tcp_nopush on;
    if_modified_since before;
    client_max_body_size 20m;
    server {{
        listen 127.0.0.1:{port}; listen [::1]:{port}; root {path};
        location /200 {{ return 200 "posted"; }}
        location /301 {{ return 301 /size0; }}
        location /500 {{ return 500; }}
        location /slow {{ proxy_pass http://127.0.0.1:{upstream}; }}
    }}
}}
"""

# What is asked for, so that all these statuses come: 200 206 301 304 404 500.
ASK = """
import http.client, random, sys
port, count, seed, *sizes = map(int, sys.argv[1:])
choose = random.Random(seed)
client = None
for number in range(count):
    client = client or http.client.HTTPConnection(choose.choice(["127.0.0.1", "::1"]), port)
    method, headers, body = choose.choice(["GET", "GET", "GET", "HEAD", "POST"]), {}, None
    if method == "POST":
        path = choose.choice(["/200", "/301", "/missing", "/500"])
        body = b"x" * choose.choice([0, 1, 100, 1000, 100000])
    else:
        size = choose.choices(sizes, [20, 20, 20, 20, 5, 1])[0]
        path = choose.choice([f"/size{size}"] * 5 + ["/301", "/missing", "/500"])
        if choose.randrange(4) == 0:
            headers["Range"] = "bytes=0-99"
        elif choose.randrange(4) == 0:
            headers["If-Modified-Since"] = "Fri, 01 Jan 2100 00:00:00 GMT"
    last = choose.randrange(5) == 0
    if last:
        headers["Connection"] = "close"
    client.request(method, f"{path}?n={seed}.{number}", body=body, headers=headers)
    client.getresponse().read()
    if last:
        client.close()
        client = None
"""


@pytest.fixture(scope="module")
def nginx():
    """The program."""
    installed = shutil.which("nginx")
    if installed:
        return installed
    try:
        import debian  # which a guest of `make test-kernels` does not have, nor an archive

        suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
        program = debian.fetch_tree("nginx", suite) / "usr/sbin/nginx"
        subprocess.run([program, "-v"], check=True, capture_output=True)
        return program
    except Exception as error:  # whatever it is, the reason is told
        why = getattr(error, "stderr", None) or error
        pytest.skip(f"NOT TRIED: nginx's log as a witness, for want of nginx: {why}")


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers when the seconds in the target are over."""

    def do_GET(self):
        time.sleep(float(self.path.split("/")[2]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


class Server:
    """A running nginx."""

    def __init__(self, program, path):
        self.path, self.port = path, free_port()
        self.upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        threading.Thread(target=self.upstream.serve_forever, daemon=True).start()
        for size in SIZES:
            (path / f"size{size}").write_bytes(b"f" * size)
        conf = NGINX.format(path=path, port=self.port, upstream=self.upstream.server_port)
        (path / "conf").write_text(conf)
        self.process = subprocess.Popen(
            [program, "-p", path, "-c", path / "conf", "-e", path / "error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.listens, "nginx listens")

    def listens(self):
        assert self.process.poll() is None, (self.path / "error").read_text()
        with socket.socket() as probe:
            return not probe.connect_ex(("127.0.0.1", self.port))

    def log(self):
        """(address and port of the client, method, target, status, seconds), in order."""
        lines = [line.split() for line in (self.path / "access").read_text().splitlines()]
        return [((addr, int(port)), method, target, int(status), float(seconds))
                for addr, port, method, target, status, seconds in lines]

    def end(self):
        self.upstream.shutdown()
        end_process(self.process, signal.SIGQUIT)


@pytest.fixture
def server(nginx, tmp_path):
    running = Server(nginx, tmp_path)
    yield running
    running.end()


@pytest.fixture
def sides(server, start_collector, netwatch):
    """Who watches the server's sockets, and who the clients'."""
    collector = start_collector("--queue", "64M", "--ring", "16M")
    return [netwatch(*HTTP, option, server.port, uid=0, socket=collector.socket).wait_subscribed()
            for option in ("--sport", "--dport")]


def asked(event, side):
    """Which client, method and target."""
    connection, http = event["connection"], event["http"]
    end = "r" if side == 0 else "l"
    return (connection[f"{end}addr"], connection[f"{end}port"]), http["method"], http["target"]


def in_order(rows):
    """Of each client: what is told on different connections may come in any order."""
    clients = {}
    for client, *row in rows:
        clients.setdefault(client, []).append(tuple(row))
    return clients


def test_log(server, sides, place):
    """Nothing is missing, nothing comes twice, and each connection's lines come in their order."""
    asking = [
        subprocess.Popen([PYTHON, "-c", ASK, *map(str, [server.port, REQUESTS, seed, *SIZES])],
                         user=0, env=place.environment) for seed in range(CLIENTS)
    ]
    assert [process.wait(600) for process in asking] == [0] * CLIENTS
    count = CLIENTS * REQUESTS
    wait_until(lambda: len(server.log()) == count, "the log is written")
    witness = [row[:4] for row in server.log()]
    statuses = Counter(row[3] for row in witness)
    print(f"{count} requests, statuses {dict(statuses)}")
    if count >= 400:
        assert set(statuses) == {200, 206, 301, 304, 404, 500}
    for side, watch in enumerate(sides):
        watch.wait_events(2 * count)
        events = finish(watch)
        assert len(events) == 2 * count
        requests = [asked(event, side) for event in events if event["http"]["event"] == "REQUEST"]
        responses = [(*asked(event, side), event["http"]["status"]) for event in events
                     if event["http"]["event"] == "RESPONSE"]
        assert in_order(responses) == in_order(witness)
        assert in_order(requests) == in_order(row[:3] for row in witness)


def test_latency(server, sides):
    """Slow answers take at least what the server took, and less than who asked has waited."""
    waited = {}
    for number in range(SLOW):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            target = f"/slow/{DELAYS_S[number % len(DELAYS_S)]}/{number}"
            begin = time.monotonic()
            client.sendall(f"GET {target} HTTP/1.0\r\nHost: h\r\n\r\n".encode())
            assert client.recv(4096)
            waited[target] = time.monotonic() - begin
            while client.recv(4096):
                pass
    wait_until(lambda: len(server.log()) == SLOW, "the log is written")
    logged = {row[2]: row[4] for row in server.log()}
    told = []
    for side in sides:
        side.wait_events(2 * SLOW)
        told.append({event["http"]["target"]: event["http"]["latency_us"] / 1e6
                     for event in finish(side) if event["http"]["event"] == "RESPONSE"})
    servers, clients = told
    assert servers.keys() == clients.keys() == logged.keys()
    for target, seconds in servers.items():
        assert float(target.split("/")[2]) <= seconds <= clients[target] <= waited[target]
    off = [abs(servers[target] - seconds) for target, seconds in logged.items()]
    print(f"off by {statistics.median(off) * 1000:.1f} ms, at most {max(off) * 1000:.1f} ms")
