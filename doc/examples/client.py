#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A client of netwatch-collector in Python: prints connections as they open, fail and close.

    protoc -I /usr/local/share/netwatch -I /usr/include --python_out=. netwatch.proto
    python3 client.py /run/netwatch.sock          # all that this user may see
    python3 client.py /run/netwatch.sock 443 10   # ten events of connections to or from port 443

It needs python3-protobuf, and knows of the protocol what netwatch.proto(5) says: both sides say
hello first; a message is preceded by its length, as a varint."""

import socket
import sys

import netwatch_pb2 as pb

MAJOR = 1  # of the protocol; another one says other things


def send(stream, **request):
    """Writes one message, such as hello=pb.Hello(...)."""
    body = pb.Request(**request).SerializeToString()
    length = bytearray()
    rest = len(body)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    stream.write(bytes(length) + body)
    stream.flush()


def read(stream, size):
    data = stream.read(size)
    if len(data) < size:
        sys.exit("the collector went away")
    return data


def receive(stream):
    """Reads one message."""
    length = shift = 0
    while True:
        byte = read(stream, 1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return pb.Reply.FromString(read(stream, length))


def safe(text):
    """What processes call themselves is not to be trusted with a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def show(event):
    if event.HasField("lost"):  # the place where something is missing
        print(f"LOST {event.lost.count}", flush=True)
        return
    conn, of = event.conn, event.connection  # a field that is not known is absent: HasField tells
    line = f"{pb.Conn.Stage.Name(conn.event)} {of.laddr}:{of.lport}"
    if of.HasField("rport"):
        line += f" {of.raddr}:{of.rport}"
    if of.HasField("pid"):
        line += f" {safe(of.comm)}[{of.pid}]"
    if conn.HasField("error"):
        line += f" {conn.error}"
    if conn.event == pb.Conn.CLOSE:
        line += f" received={conn.bytes_received} sent={conn.bytes_acked}"
    print(line, flush=True)


def main(path, port=0, count=0):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    stream = connection.makefile("rwb")

    send(stream, hello=pb.Hello(major=MAJOR, minor=0, program="example"))
    hello = receive(stream).hello
    if hello.major != MAJOR:
        sys.exit(f"the collector speaks version {hello.major} of the protocol")
    wanted = pb.Filter()
    if port:
        wanted.port.any.add(first=port)
    send(stream, subscribe=pb.Subscribe(category=["conn"], closed=True, filter=wanted))

    seen = 0
    while True:
        reply = receive(stream)
        kind = reply.WhichOneof("reply")
        if kind == "event" and not (count and seen == count):
            show(reply.event)
            seen += 1
            if seen == count:  # what is still under way comes, then the account in bye
                send(stream, unsubscribe=pb.Unsubscribe())
        elif kind == "subscribed":
            print("subscribed", flush=True)
        elif kind == "error":
            sys.exit(safe(reply.error.message))
        elif kind == "bye":
            totals = reply.bye.totals
            lost = totals.lost_kernel + totals.lost_queue
            print(f"matched {totals.matched}, lost {lost}")
            return
        # another kind is of a newer collector: skip it


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
