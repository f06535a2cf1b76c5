# SPDX-License-Identifier: GPL-2.0-only
"""The protocol in another language: a client made of a UNIX socket, varints and the module
that protoc generated from netwatch.proto. It shares no code with the C programs."""

import ipaddress
import os
import socket
import struct

import netwatch_pb2 as pb

DEADLINE_S = 120


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def frame(message):
    body = message if isinstance(message, bytes) else message.SerializeToString()
    return varint(len(body)) + body


def nested(number, body):
    """A field that holds bytes, which no schema needs to know."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def take_frame(buffer):
    """Takes one whole frame off a bytearray: its body, or None."""
    length = 0
    for index, byte in enumerate(buffer):
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            start = index + 1
            if len(buffer) < start + length:
                return None
            body = bytes(buffer[start : start + length])
            del buffer[: start + length]
            return body
    return None


def hello(major=1, minor=0):
    return pb.Request(hello=pb.Hello(major=major, minor=minor, program="test"))


class Closed(Exception):
    """The collector closed the connection."""


class Connection:
    """One connection to the collector, of whoever we are or, as root, of a user; every wait has
    a deadline."""

    def __init__(self, path, greet=True, uid=None):
        self.socket = socket.socket(socket.AF_UNIX)
        # A full backlog fails a socket with a timeout at once; this one waits for its turn.
        timeval = struct.pack("ll", DEADLINE_S, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        own = os.geteuid()
        os.seteuid(own if uid is None else uid)  # which the kernel notes for SO_PEERCRED
        try:
            self.socket.connect(path)
        finally:
            os.seteuid(own)
        self.socket.settimeout(DEADLINE_S)
        self.buffer = bytearray()
        if greet:
            self.send(hello())
            self.hello = self.expect("hello")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, message):
        self.socket.sendall(frame(message))

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed(f"closed with {len(self.buffer)} bytes of a frame")
        self.buffer += data

    def reply_body(self):
        while (body := take_frame(self.buffer)) is None:
            self.fill()
        return body

    def reply(self):
        return pb.Reply.FromString(self.reply_body())

    def expect(self, kind):
        reply = self.reply()
        assert reply.WhichOneof("reply") == kind, f"{reply} instead of {kind}"
        return getattr(reply, kind)

    def expect_closed(self):
        try:
            reply = self.reply()
        except (Closed, ConnectionResetError):
            return
        raise AssertionError(f"{reply} instead of the end")

    def subscribe(self, existing=False, closed=True, category=("conn",), interval=None, **criteria):
        """The EXISTING events that came before `subscribed`."""
        self.send(
            pb.Request(
                subscribe=pb.Subscribe(
                    category=category,
                    closed=closed,
                    existing=existing,
                    interval_ms=interval,
                    filter=pb.Filter(**criteria),
                )
            )
        )
        return self.until("subscribed")[0]

    def until(self, kind):
        """(events, what came at last): everything up to a reply of that kind."""
        events = []
        while True:
            reply = self.reply()
            which = reply.WhichOneof("reply")
            if which == "event":
                events.append(reply.event)
            else:
                assert which == kind, f"{reply} instead of {kind}"
                return events, getattr(reply, kind)

    def unsubscribe(self):
        """(events, totals): what was under way and the account."""
        self.send(pb.Request(unsubscribe=pb.Unsubscribe()))
        events, bye = self.until("bye")
        assert bye.reason == pb.Bye.DONE
        self.expect_closed()
        return events, bye.totals

    def events(self, count):
        """The next events, so many."""
        return [self.expect("event") for _ in range(count)]


def ask(path, kind, request, uid=None):
    """The one answer to a request that has only one."""
    with Connection(path, uid=uid) as connection:
        connection.send(request)
        answer = connection.expect(kind)
        assert connection.expect("bye").reason == pb.Bye.DONE
        return answer


def status(path):
    return ask(path, "status", pb.Request(status=pb.StatusRequest()))


def check(path):
    return ask(path, "check", pb.Request(check=pb.CheckRequest()))


def ports(*ranges, negated=False):
    """A PortSet of numbers and (first, last)."""
    made = []
    for entry in ranges:
        first, last = entry if isinstance(entry, tuple) else (entry, None)
        made.append(pb.PortRange(first=first, last=last))
    return pb.PortSet(**{"none" if negated else "any": made})


def numbers(*values, negated=False):
    return pb.NumberSet(**{"none" if negated else "any": values})


def prefixes(*networks, negated=False):
    """A PrefixSet of networks as text."""
    made = []
    for network in map(ipaddress.ip_network, networks):
        made.append(pb.Prefix(address=network.network_address.packed, length=network.prefixlen))
    return pb.PrefixSet(**{"none" if negated else "any": made})
