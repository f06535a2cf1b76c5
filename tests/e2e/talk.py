# SPDX-License-Identifier: GPL-2.0-only
"""A connection on which a test of category http has both sides say what it likes, and who watches."""

import pytest

from harness import ALICE, BOB

HTTP = "subscribe", "--events", "http", "-v", "--stats", "-o", "json"
SECRET = "5ecret"  # in what must never be shown
FIXED = "malformed", "truncated"


class Talk:
    """A connection of ALICE's to BOB's server, and what is said on it."""

    def __init__(self, actor, address="127.0.0.1", client=ALICE, server=BOB):
        self.client, self.server = actor(uid=client), actor(uid=server)
        self.address = address
        self.listener = self.server.listen(address=address)
        self.port = self.listener["port"]
        self.open()

    def open(self):
        self.told = self.client.connect(address=self.address, port=self.port)
        self.accepted = self.server.accept(fd=self.listener["fd"])

    def ask(self, request, piece=0):
        self.say(self.client, self.told, self.server, self.accepted, request, piece)

    def answer(self, response, piece=0):
        self.say(self.server, self.accepted, self.client, self.told, response, piece)

    @staticmethod
    def say(speaker, end, hearer, other, text, piece):
        text = text if isinstance(text, bytes) else text.encode()
        hearer.tell("receive", fd=other["fd"], count=len(text))
        speaker.say(fd=end["fd"], data=text.hex(), piece=piece)
        hearer.answer()

    def close(self):
        """The server first."""
        self.server.close(fd=self.accepted["fd"])
        self.client.receive_end(fd=self.told["fd"])
        self.client.close(fd=self.told["fd"])


def head(start, **headers):
    lines = [start, *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines) + "\r\n\r\n"


def get(target, **headers):
    return head(f"GET {target} HTTP/1.1", Host="h.test", **headers)


def ok(body="", **headers):
    return head("HTTP/1.1 200 OK", Content_Length=len(body), **headers) + body


@pytest.fixture
def talk(actor):
    return Talk(actor)


@pytest.fixture
def watch(netwatch):
    def start(port, *options, uid=ALICE, **more):
        return netwatch(*HTTP, "--port", port, *options, uid=uid, **more).wait_subscribed()

    return start


def finish(client, lossy=False):
    """Its events; the account adds up, and without lossy nothing is lost."""
    events = client.stopped_events()
    totals = client.totals()
    assert totals["matched"] == sum(
        totals[name] for name in ("delivered", "filtered", "lost_kernel", "lost_queue")
    ), totals
    assert totals["delivered"] == sum("http" in event for event in events), totals
    assert lossy or len(events) == totals["delivered"], totals
    return events


def short(event):
    """(REQUEST, method, target) or (RESPONSE, status, method, target)"""
    http = event["http"]
    names = ["event", "method", "target"] + [name for name in FIXED if name in http]
    if http["event"] == "RESPONSE":
        names.insert(1, "status")
    return " ".join(str(http.get(name, "-")) for name in names)


def said(talk):
    talk.ask(get(f"/a?user=me&token={SECRET}#part"))
    talk.answer(ok())
    talk.close()
