# SPDX-License-Identifier: GPL-2.0-only
"""The collector's side of the protocol by script, for tests of the client: it plays recorded
bytes, answers, falls silent, or says what no collector would. No privilege, no BPF."""

import re
import socket
import subprocess
import threading

import netwatch_pb2 as pb
import wire
from harness import CONN, DEADLINE_S

GONE = (wire.Closed, BrokenPipeError, ConnectionResetError)


def reply(**kind):
    """The frame of one Reply: reply(event=pb.Event(...))."""
    return wire.frame(pb.Reply(**kind))


def hello(major=1, minor=0, epoch=1, scope=pb.ALL, category=("conn",)):
    return reply(
        hello=pb.Hello(major=major, minor=minor, epoch=epoch, scope=scope, category=category)
    )


def subscribed():
    return reply(subscribed=pb.Subscribed())


def bye(reason=pb.Bye.DONE, **totals):
    return reply(bye=pb.Bye(reason=reason, totals=pb.Totals(**totals) if totals else None))


def refusal(code, message):
    return reply(error=pb.Error(code=code, message=message))


def event(**fields):
    return reply(event=pb.Event(**fields))


HELLO, LIVE, BYE = hello(), subscribed(), bye()
GREETED = HELLO + LIVE
GOOD = event(connection={"lport": 80}, conn={"event": "OPEN"})
LINE = b'{"connection":{"lport":80},"conn":{"event":"OPEN"}}\n'  # of it, in JSON
START = GREETED + GOOD
REPLY_MAX = 64 * 1024  # of one message
SUBSCRIBE = [*CONN, "-o", "json"]


class Peer(wire.Connection):
    """One client, as the collector sees it."""

    def __init__(self, accepted):
        self.socket = accepted
        self.socket.settimeout(DEADLINE_S)
        self.buffer = bytearray()
        self.requests = []

    def request(self):
        """Waits for the client's next message, and keeps it."""
        self.requests.append(pb.Request.FromString(self.reply_body()))
        return self.requests[-1]

    def play(self, *data):
        self.socket.sendall(b"".join(data))

    def trickle(self, data):
        for index in range(len(data)):
            self.play(data[index : index + 1])

    def until_gone(self, again=b""):
        """Reads until the client closes; with again, says that all the time."""
        try:
            while True:
                if again:
                    self.play(again)
                else:
                    self.request()
        except GONE:
            pass

    def say_at_once(self, data):
        """Without waiting for the request, and no more."""
        self.request()
        try:
            self.play(data)
            self.end()
        except GONE:
            pass

    def end(self):
        """Says no more, and lets the client read all there is."""
        self.socket.shutdown(socket.SHUT_WR)
        self.until_gone()

    def converse(self, transcript, say=None):
        """Plays a collector's side: hello after the client's hello, the rest after its
        request, all through say (play, trickle)."""
        say = say or self.play
        answer = bytearray(transcript)
        first = len(wire.frame(wire.take_frame(answer)))
        self.request()
        try:
            say(transcript[:first])
            self.request()
            say(transcript[first:])
            self.end()
        except GONE:
            pass


class FakeCollector:
    """Serves one script after the other, each a function of a Peer, to one connection each;
    what a script raises is raised at the end of the `with`."""

    def __init__(self, place, *scripts):
        self.path = str(place.new_path("fake"))
        self.peers = []
        self.scripts = scripts
        self.failure = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        try:
            for script in self.scripts:
                with Peer(self.listener.accept()[0]) as peer:
                    self.peers.append(peer)
                    script(peer)
        except Exception as error:  # told to the test, in its own thread
            self.failure = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.listener.shutdown(socket.SHUT_RDWR)  # a script that nobody came for
        self.thread.join(DEADLINE_S)
        self.listener.close()
        if kind is None:
            assert not self.thread.is_alive(), "the script does not end"
            if self.failure:
                raise self.failure


def run(place, path, *args):
    """The client to its end, in UTC: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [place.client, "--socket", path, *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
        env={**place.environment, "TZ": "UTC"},
    )
    return done.returncode, done.stdout, done.stderr


def run_with(place, script, *args):
    """The client with a collector of one script."""
    with FakeCollector(place, script) as fake:
        return run(place, fake.path, *args)


def run_against(place, data, *args):
    """The client with a collector that says data at once, and no more."""
    return run_with(place, lambda peer: peer.say_at_once(data), *(args or SUBSCRIBE))


def is_clean(out):
    """No control character but the line's end, no bidi override, nothing that is no UTF-8."""
    text = out.decode()
    return not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", text)


def assert_one_line(err):
    assert err.startswith(b"netwatch: ") and err.count(b"\n") == 1 and is_clean(err), err
