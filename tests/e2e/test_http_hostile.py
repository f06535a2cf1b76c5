# SPDX-License-Identifier: GPL-2.0-only
"""Category http on what is not HTTP, or wants to be taken for it: TLS on port 80, HTTP/2, random
bytes, and heads by the thousand that break a rule each. NETWATCH_FULL=1: 100,000 of these."""

import random
import socket
import ssl
import struct
import threading
from collections import Counter

import pytest

from harness import ALICE, FULL, SANITIZED, free_port, scaled
from talk import HTTP, finish, get, ok

HEADS = 100_000 if FULL else scaled(2000)
PAIRS = 100  # of random bytes
SECRET = "5ecret"
GROWTH = 16 << 20  # bytes: what the parser may keep, and as much again
WHOLE = f"Host: h\r\nX-Api-Key: {SECRET}\r\n\r\n"

# What is sent -> events that it makes: their target and malformation.
HOSTILE = {
    f"GET /ok HTTP/1.1\r\n{WHOLE}": ["/ok"],
    f"GET /lf HTTP/1.1\nHost: h\nX-Api-Key: {SECRET}\n\n": ["/lf"],
    f"GET /1.0 HTTP/1.0\r\n{WHOLE}": ["/1.0"],
    f"GET /nul HTTP/1.1\r\nX: \0{SECRET}\r\n{WHOLE}": ["/nul NUL"],
    f"GET /cr HTTP/1.1\r\nX: a\r{SECRET}\r\n{WHOLE}": ["/cr BARE_CR"],
    f"GET /fold HTTP/1.1\r\nX: a\r\n {SECRET}\r\n{WHOLE}": ["/fold FOLDING"],
    f"GET /name HTTP/1.1\r\nX-Api-Key : {SECRET}\r\n{WHOLE}": ["/name NAME"],
    f"GET /colon HTTP/1.1\r\nCookie{SECRET}\r\n{WHOLE}": ["/colon NAME"],
    f"GET /host HTTP/1.1\r\nHost: {'a'}\r\n{WHOLE}": ["/host HOST"],
    f"POST /cl HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n{WHOLE}":
        ["/cl CONTENT_LENGTH"],
    f"POST /minus HTTP/1.1\r\nContent-Length: -1\r\n{WHOLE}": ["/minus CONTENT_LENGTH"],
    f"POST /huge HTTP/1.1\r\nContent-Length: {'9' * 40}\r\n{WHOLE}": ["/huge CONTENT_LENGTH"],
    f"POST /te HTTP/1.1\r\nTransfer-Encoding: x\r\n{WHOLE}": ["/te TRANSFER_ENCODING"],
    f"POST /both HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n{WHOLE}":
        ["/both LENGTH_AND_CODING"],
    f"GET /a b HTTP/1.1\r\n{WHOLE}": ["- TARGET"],
    f"GET nothing HTTP/1.1\r\n{WHOLE}": ["- TARGET"],
    f"GET /long HTTP/1.1\r\nCookie: {SECRET * 2000}": ["/long True"],
    f"GET /end HTTP/1.1\r\nCookie: {SECRET}": ["/end True"],
    f"GET / HTTP/2.0\r\n{WHOLE}": [],
    f"GET /{SECRET}\r\n{WHOLE}": [],
    f"GET / RTSP/1.0\r\n{WHOLE}": [],
    f"get / HTTP/1.1\r\n{WHOLE}": [],
    f"GET\t/ HTTP/1.1\r\n{WHOLE}": [],
    f"{'G' * 40} / HTTP/1.1\r\n{WHOLE}": [],
    f"GET / HTTP/1.1 {SECRET}\r\n{WHOLE}": [],
    f"HTTP/1.1 200 {SECRET}\r\n{WHOLE}": [],  # by a client
    f"{SECRET}\r\n\r\n": [],
    "\r\n" * 500: [],
    "GET": [],
}


class Sink:
    """Takes what comes and says what it is told to."""

    def __init__(self, address="127.0.0.1", port=None):
        self.listener = socket.create_server((address, port or free_port()), backlog=1024)
        self.address = self.listener.getsockname()
        self.port = self.address[1]

    def pair(self):
        client = socket.create_connection(self.address)
        return client, self.listener.accept()[0]


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def watch(netwatch):
    def start(sink, **more):
        return netwatch(*HTTP, "--raddr", sink.address[0], "--dport", sink.port, uid=0,
                        **more).wait_subscribed()

    return start


def exchange(sink, said, answered):
    """One end says the one, the other the other, and both close."""
    client, server = sink.pair()
    with client, server:
        for one, other, data in (client, server, said), (server, client, answered):
            sender = threading.Thread(target=one.sendall, args=(data,))
            sender.start()
            left = len(data)
            while left:
                left -= len(other.recv(left))
            sender.join()


def assert_only_control(sink, watch, control):
    """Of all that was said only this is HTTP."""
    exchange(sink, get("/control").encode(), ok().encode())
    control.wait_events(2)
    assert [event["http"]["target"] for event in finish(control)] == ["/control"] * 2


def wrap(connection, side):
    """TLS without certificates."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return context.wrap_socket(connection, server_side=side == ssl.PROTOCOL_TLS_SERVER)


def test_tls_on_port_80(watch):
    sink = Sink(f"127.80.{ALICE >> 8 & 255}.{ALICE & 255}", 80)
    control = watch(sink)
    client, server = sink.pair()

    def answer():
        with wrap(server, ssl.PROTOCOL_TLS_SERVER) as secure:
            assert secure.recv(4096).startswith(b"GET /secret")
            secure.sendall(ok("HTTP/1.1 200 OK\r\n\r\n" * 1000).encode())

    answering = threading.Thread(target=answer)
    answering.start()
    with wrap(client, ssl.PROTOCOL_TLS_CLIENT) as secure:
        secure.sendall(get("/secret").encode())
        while secure.recv(65536):
            pass
    answering.join()
    assert_only_control(sink, watch, control)


def test_http2(sink, watch):
    """With requests in its frames, as text."""
    control = watch(sink)
    frame = b"\0\0\x40\0\1\0\0\0\1" + get("/no").encode()
    exchange(sink, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame, b"\0\0\0\4\0\0\0\0\0" + frame)
    client, server = sink.pair()
    with client, server:
        for data in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", get("/no").encode(), get("/no").encode():
            client.sendall(data)
            server.recv(4096)
        server.sendall(ok().encode())
        client.recv(4096)
    assert_only_control(sink, watch, control)


def test_random_bytes(sink, watch):
    control, choose = watch(sink), random.Random(1)
    for number in range(PAIRS):
        exchange(sink, *(choose.randbytes(choose.randint(1, 20000)) for _ in range(2)))
    assert_only_control(sink, watch, control)


def send(sink, data):
    """On a connection of its own, which then is reset, so that no port waits."""
    client, server = sink.pair()
    with client, server:
        client.sendall(data)
        left = len(data)
        while left:
            left -= len(server.recv(left))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def short(event):
    told = event["http"]
    assert told["event"] == "REQUEST"
    words = [told.get("target", "-"), told.get("malformed"), told.get("truncated")]
    return " ".join(str(word) for word in words if word)


def test_heads(sink, start_collector, watch):
    """Each is told as what it is, and nothing of them is kept."""
    collector = start_collector("--ring", "16M", "--queue", "64M")
    control = watch(sink, socket=collector.socket)
    kinds = [(data.encode("latin1"), told) for data, told in HOSTILE.items()]
    sizes = []
    for number in range(HEADS):
        send(sink, kinds[number % len(kinds)][0])
        if number % (HEADS // 10) == HEADS // 10 - 1:
            sizes.append(int(collector.status("VmRSS").split()[0]) << 10)
    expected = Counter(
        told for number in range(HEADS) for told in kinds[number % len(kinds)][1])
    control.wait_events(sum(expected.values()))
    events = finish(control)
    assert Counter(map(short, events)) == expected
    assert SECRET.encode() not in b"".join(control.out.lines)
    if not SANITIZED:
        assert sizes[-1] - sizes[0] < GROWTH, sizes
    print(f"{HEADS} heads, resident at each tenth: {sizes}")
