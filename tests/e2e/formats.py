# SPDX-License-Identifier: GPL-2.0-only
"""Reads what the client prints in any format; and traffic of all kinds to print."""

import csv

import netwatch_pb2 as pb
import wire

REFUSED, CONNECTS = 2, 3


class Traffic:
    """Connections of a user over IPv4 and IPv6, some of them refused, and some that stay."""

    def __init__(self, actor):
        server, self.client = actor(), actor()
        self.addresses = "127.0.0.1", "::1"
        self.port = [server.server(address=address, workers=4) for address in self.addresses]
        self.refused = server.refused_port()
        server.drop_served()
        self.ports = ",".join(map(str, [*self.port, self.refused]))
        for address, port in zip(self.addresses, self.port):
            self.client.connect(address=address, port=port)

    def run(self):
        for address, port in zip(self.addresses, self.port):
            self.client.connects(count=CONNECTS, address=address, port=port, payload=10)
        self.client.failures(count=REFUSED, address="127.0.0.1", port=self.refused)


# With -a --port: the client opens, and both sides are established and close.
ALL = 2 * CONNECTS * 5 + REFUSED * 2


def flat(event):
    """A JSON event by the names of columns, as text."""
    row = dict(event)
    row.update(row.pop("connection", {}))
    for category in "conn", "lost":
        if category in row:
            row["category"] = category
            detail = row.pop(category)
            row.update({f"{category}.{name}": value for name, value in detail.items()})
    return {name: str(value) for name, value in row.items()}


def rows(client):
    """CSV as Python reads it: what is absent left out."""
    lines = b"".join(client.out.lines).decode().splitlines(keepends=True)
    table = csv.DictReader(lines, strict=True)
    return [{name: value for name, value in row.items() if value} for row in table]


def frames(client):
    """Replies of a protobuf stream."""
    stream = bytearray(b"".join(client.out.lines))
    replies = []
    while (body := wire.take_frame(stream)) is not None:
        replies.append(pb.Reply.FromString(body))
    assert not stream, "a part of a frame"
    return replies


def kinds(replies):
    return [reply.WhichOneof("reply") for reply in replies]
