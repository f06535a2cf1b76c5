# SPDX-License-Identifier: GPL-2.0-only
"""Requests that come before their connection has a socket on the server's side: with the segment
that completes the handshake, or with a SYN. The listener gets them, and they are told all the same."""

import socket

import pytest

import netns
from harness import scaled
from talk import finish, get, ok, short, watch

MSG_FASTOPEN = 0x20000000
WAYS = "the server defers", "the client waits with its ACK", "Fast Open"
FAMILIES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}
SAID = ["REQUEST GET /1", "RESPONSE 200 GET /1", "REQUEST GET /2", "RESPONSE 200 GET /2"]


class Server:
    """A listener in a network namespace, and clients of it in there."""

    def __init__(self, namespace, way, address):
        self.namespace, self.way, self.address = namespace, way, address
        self.listener = self.inside(self.listen)
        self.port = self.listener.getsockname()[1]

    def inside(self, call, *arguments):
        return netns.inside(self.namespace, lambda: call(*arguments))

    def socket(self):
        one = socket.socket(FAMILIES[self.address])
        one.settimeout(scaled(10))
        return one

    def listen(self):
        one = self.socket()
        one.bind((self.address, 0))
        one.listen()
        if self.way == "the server defers":
            one.setsockopt(socket.SOL_TCP, socket.TCP_DEFER_ACCEPT, 10)
        if self.way == "Fast Open":
            with open("/proc/sys/net/ipv4/tcp_fastopen", "w", encoding="ascii") as file:
                file.write("3")
            one.setsockopt(socket.SOL_TCP, socket.TCP_FASTOPEN, 16)
        return one

    def begin(self, text):
        """A connection on which a client has said this."""
        client = self.socket()
        if self.way == "the client waits with its ACK":
            client.setsockopt(socket.SOL_TCP, socket.TCP_DEFER_ACCEPT, 1)
        if self.way == "Fast Open":
            client.settimeout(None)  # or it returns before the SYN is out
            client.sendto(text, MSG_FASTOPEN, (self.address, self.port))
            client.settimeout(scaled(10))
        else:
            client.connect((self.address, self.port))
            client.sendall(text)
        accepted = self.listener.accept()[0]
        accepted.settimeout(scaled(10))
        return client, accepted

    def talk(self, *pieces):
        """A request in pieces, of which the first is early, and one more."""
        client, accepted = self.begin(pieces[0])
        with client, accepted:
            for piece in pieces[1:]:
                accepted.recv(len(pieces[0]), socket.MSG_WAITALL)
                client.sendall(piece)
            accepted.recv(len(pieces[-1]), socket.MSG_WAITALL)
            for request in get("/2").encode(), b"":
                accepted.sendall(ok("done").encode())
                client.recv(len(ok("done")), socket.MSG_WAITALL)
                if request:
                    client.sendall(request)
                    accepted.recv(len(request), socket.MSG_WAITALL)


@pytest.fixture
def server(namespace):
    servers = []

    def start(way, address="127.0.0.1"):
        servers.append(Server(namespace, way, address))
        return servers[-1]

    yield start
    for one in servers:
        one.listener.close()


def told(client):
    """What each end tells."""
    events = finish(client)
    return {role: [short(event) for event in events if event["connection"]["role"] == role]
            for role in ("SERVER", "CLIENT")}


@pytest.mark.kernels
@pytest.mark.parametrize("address", FAMILIES)
@pytest.mark.parametrize("way", WAYS)
def test_early(server, watch, way, address):
    """A short head, a long one, and one of which only the beginning is early. Of Fast Open the
    first connection gets a cookie, and says what it has to say with its ACK."""
    one = server(way, address)
    end = watch(one.port, uid=0)
    long = get("/1", Cookie="x" * 3000, User_Agent="long").encode()
    for pieces in [get("/1").encode()], [long], [long[:1500], long[1500:]]:
        one.inside(one.talk, *pieces)
    end.wait_events(2 * 3 * len(SAID))
    assert told(end) == {"SERVER": 3 * SAID, "CLIENT": 3 * SAID}


def test_full_queue(server, watch):
    """The first segment of most makes no child: it is told when it comes again, and once."""
    one = server("the server defers")
    end = watch(one.port, uid=0)

    def fill():
        clients, targets = [one.socket() for _ in range(4)], []
        for client in clients:
            client.connect((one.address, one.port))
        one.listener.listen(0)
        for number, client in enumerate(clients):
            client.sendall(get(f"/{number}").encode())
        for _ in clients:
            with one.listener.accept()[0] as accepted:
                accepted.settimeout(scaled(10))
                targets.append(accepted.recv(1000).split()[1].decode())
                accepted.sendall(ok("done").encode())
        for client in clients:
            client.recv(len(ok("done")), socket.MSG_WAITALL)
            client.close()
        return sorted(targets)

    targets = one.inside(fill)
    assert targets == ["/0", "/1", "/2", "/3"]
    end.wait_events(2 * 2 * len(targets))
    ends = told(end)
    for role in ends:
        assert sorted(ends[role]) == sorted(
            text for target in targets for text in (f"REQUEST GET {target}",
                                                    f"RESPONSE 200 GET {target}"))
