# SPDX-License-Identifier: GPL-2.0-only
"""netwatch export: who may ask it, how, and at which address."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

import prometheus
from exporter import Export, export, shared_export
from harness import DEADLINE_S

assert export and shared_export

DOC = Path(__file__).resolve().parents[2] / "doc"
REQUEST_S = 5  # EXPORT_REQUEST_S


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
        thread.join(DEADLINE_S)
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
    with socket.create_connection(("::1", Export(client).port)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 200 OK")
    assert client.stop() == 0


def test_listens_on_the_loopback():
    """By default, as the contract says."""
    text = (DOC / "interface.md").read_text() + (DOC / "netwatch.1").read_text()
    assert "127.0.0.1:9477" in text.replace("\\-", "-")
