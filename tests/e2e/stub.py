# SPDX-License-Identifier: GPL-2.0-only
"""A collector of a few lines, which says what a test tells it to."""

import os
import socket

import netwatch_pb2 as pb
import wire


class Stub:
    """Its socket. With close() nobody is there any more; open() again."""

    def __init__(self, path):
        self.path = str(path)
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen()
        self.listener.settimeout(wire.DEADLINE_S)

    def close(self):
        self.listener.close()
        os.unlink(self.path)

    def accept(self):
        return Peer(self.listener.accept()[0])

    def live(self, epoch=1):
        """A peer with a subscription."""
        peer = self.accept()
        peer.say_hello(epoch)
        peer.take("subscribe")
        peer.say(subscribed=pb.Subscribed())
        return peer


class Peer(wire.Connection):
    """The collector's end of one connection."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(wire.DEADLINE_S)
        self.buffer = bytearray()

    def say(self, **reply):
        self.send(pb.Reply(**reply))

    def say_hello(self, epoch=1, major=1, minor=0, **more):
        self.take("hello")
        self.say(
            hello=pb.Hello(
                major=major, minor=minor, program="stub", epoch=epoch, scope=pb.ALL,
                category=["conn"], **more,
            )
        )

    def take(self, kind):
        request = pb.Request.FromString(self.reply_body())
        assert request.WhichOneof("request") == kind, request
        return request

    def event(self, seconds=1000, connection=1, event=pb.Conn.OPEN, **more):
        """more: of the connection."""
        of = {"id": connection, "laddr": "10.0.0.1", "lport": 80, **more}
        self.say(
            event=pb.Event(
                time={"seconds": seconds},
                connection=pb.Connection(**of),
                conn=pb.Conn(event=event, state=pb.Tcp.SYN_SENT, error="ECONNREFUSED"),
            )
        )

    def lost(self, count=5):
        self.say(
            event=pb.Event(
                lost=pb.Lost(
                    cause=pb.Lost.KERNEL_RING, count=count,
                    first={"seconds": 1000}, last={"seconds": 1001},
                )
            )
        )

    def bye(self, reason=pb.Bye.DONE, **totals):
        self.say(bye=pb.Bye(reason=reason, totals=pb.Totals(**totals)))
        self.close()

    def finish(self, **totals):
        """Answers what ends a subscription."""
        self.take("unsubscribe")
        self.bye(**totals)
