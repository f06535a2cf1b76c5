# SPDX-License-Identifier: GPL-2.0-only
"""The client with a collector that means harm, or is broken: it ends with the right code, says
so in one line, and nothing but clean lines of whole events comes out."""

import os
import random
from pathlib import Path

import pytest
from google.protobuf import json_format

import fake_collector as fake
import netwatch_pb2 as pb
import wire
from fake_collector import BYE, GOOD, GREETED, HELLO, LINE, LIVE, REPLY_MAX, START
from harness import CONN
from wire import nested, varint

DATA = Path(__file__).resolve().parents[1] / "data"
RANDOM_TRANSCRIPTS = 300


def raw_event(*members):
    """An Event of fields as bytes."""
    return wire.frame(nested(3, b"".join(members)))


def timed(seconds, nanos=0):
    return fake.event(time={"seconds": seconds, "nanos": nanos}, conn={})


def tag(number, kind):
    return varint(number << 3 | kind)


BROKEN = {
    "length beyond the limit": START + varint(REPLY_MAX + 1),
    "the same with its message": START + varint(REPLY_MAX + 1) + b"\0" * (REPLY_MAX + 1),
    "length of 2^32-1": START + varint(2**32 - 1),
    "length of 2^63": START + varint(2**63),
    "length without end": START + b"\xff" * 64,
    "length of zero": START + b"\0" + GOOD,
    "long length of zero": START + b"\x80\x80\0" + GOOD,
    "a frame cut short": START + GOOD[:-1],
    "no message": START + wire.frame(b"\xff\xff\xff") + GOOD,
    "field number 0": START + wire.frame(b"\0\1") + GOOD,
    "wire type 6": START + wire.frame(tag(3, 6) + b"\1") + GOOD,
    "wire type 7": START + wire.frame(tag(200, 7) + b"\1") + GOOD,
    "end of no group": START + wire.frame(tag(3, 4)) + GOOD,
    "varint of 11 bytes": START + raw_event(tag(9, 0) + b"\xff" * 10 + b"\1") + GOOD,
    "varint without end": START + raw_event(tag(9, 0) + b"\xff" * 4000) + GOOD,
    "member longer than its message": START + wire.frame(tag(3, 2) + varint(50) + b"\0") + GOOD,
    "length of 2^64-1 inside": START + raw_event(tag(9, 2) + varint(2**64 - 1)) + GOOD,
    "32 bits cut short": START + raw_event(tag(9, 5) + b"123") + GOOD,
    "64 bits cut short": START + raw_event(tag(9, 1) + b"1234567") + GOOD,
    "connection is no message": START + raw_event(nested(2, b"\xff"), nested(4, b"")) + GOOD,
    "conn is no message": START + raw_event(nested(4, b"\x08")) + GOOD,
    "time is no message": START + raw_event(nested(1, b"\xff"), nested(4, b"")) + GOOD,
    "time before 1970": START + timed(-1) + GOOD,
    "time after 9999": START + timed(253402300800) + GOOD,
    "time at the beginning": START + timed(-(2**63)) + GOOD,
    "time at the end": START + timed(2**63 - 1) + GOOD,
    "a second of 10^9 ns": START + timed(1, 10**9) + GOOD,
    "negative ns": START + timed(1, -1) + GOOD,
    "time of a loss": START + fake.event(lost={"first": {"seconds": -1}}) + GOOD,
    "error is no message": START + wire.frame(nested(6, b"\xff")) + BYE,
    "bye is no message": START + wire.frame(nested(7, b"\xff")) + BYE,
    "totals are no message": START + wire.frame(nested(7, nested(2, b"\xff"))) + BYE,
    "hello twice": START + HELLO + BYE,
}
NOT_GREETED = {
    "nothing": b"",
    "event": GOOD + GREETED + BYE,
    "subscribed": LIVE + HELLO + BYE,
    "status": fake.reply(status=pb.Status(version="1")) + GREETED + BYE,
    "bye": BYE + GREETED + BYE,
    "a hello that is none": wire.frame(nested(1, b"\xff")) + LIVE + BYE,
    "text": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "our own hello": wire.frame(wire.hello())[:-1],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken(place, data):
    """What came before is printed; nothing after it."""
    code, out, err = fake.run_against(place, data)
    assert (code, out) == (4, LINE), err
    fake.assert_one_line(err)


@pytest.mark.parametrize("how", ["table", "compact"])
def test_broken_is_broken_in_every_format(place, how):
    for name, data in BROKEN.items():
        code, out, err = fake.run_against(place, data, "subscribe", "-o", how)
        assert code == 4, (name, err)
        assert len(out.splitlines()) == (2 if how == "table" else 1), (name, out)
        assert fake.is_clean(out) and fake.is_clean(err), name


@pytest.mark.parametrize("data", NOT_GREETED.values(), ids=NOT_GREETED)
def test_before_hello(place, data):
    """Hello comes first: nothing is printed, and it does not end well."""
    code, out, err = fake.run_against(place, data)
    assert (code, out) == (4, b""), err
    fake.assert_one_line(err)


def test_no_version(place):
    code, out, err = fake.run_against(place, fake.reply(hello=pb.Hello()) + LIVE + GOOD + BYE)
    assert (code, out) == (76, b""), err


ODD = {
    "bye at once": (HELLO + BYE, 4, b""),
    "status unasked": (GREETED + fake.reply(status=pb.Status(version="1")) + GOOD + BYE, 4, LINE),
    "live twice": (GREETED + GOOD + LIVE + BYE, 4, LINE),
    "event before it is live": (HELLO + GOOD + LIVE + BYE, 4, LINE),
    "an event of nothing": (
        START + fake.event() + fake.event(connection={"lport": 1}) + BYE, 4, LINE,
    ),
    "after bye": (START + BYE + GOOD, 4, LINE),
    "after an error": (START + fake.refusal(pb.Error.BUSY, "full") + GOOD + BYE, 1, LINE),
    "error and bye in one": (
        START + wire.frame(nested(6, nested(2, b"full")) + nested(7, b"")), 1, LINE,
    ),
    "a string for a number": (
        START + raw_event(nested(2, nested(3, b"80")), nested(4, nested(1, b"\2"))) + BYE,
        4, LINE + b'{"connection":{},"conn":{}}\n',
    ),
    "a number for a message": (START + raw_event(tag(4, 0) + b"\1") + BYE, 4, LINE),
    "more than 32 bits": (
        START + raw_event(nested(2, tag(3, 0) + varint(2**40 + 80)), nested(4, tag(1, 0)
        + varint(2**40 + 2))) + BYE, 4, LINE * 2,
    ),
    "the last one counts": (
        START + raw_event(nested(2, b"\x18\1\x18\x50"), nested(4, b"\x08\1\x08\2")) + BYE,
        4, LINE * 2,
    ),
    "long forms of small numbers": (
        GREETED + bytes([GOOD[0] | 0x80, 0x80, 0]) + GOOD[1:] + BYE, 4, LINE,
    ),
    "another error code": (HELLO + fake.refusal(pb.Error.PERMISSION, "no") + BYE, 77, b""),
    "what the kernel cannot": (HELLO + fake.refusal(pb.Error.UNAVAILABLE, "no"), 78, b""),
    "an error without code": (HELLO + fake.reply(error=pb.Error(message="no")), 1, b""),
    "refused before hello": (fake.refusal(pb.Error.BUSY, "full"), 1, b""),
    "shutdown before hello": (fake.bye(pb.Bye.SHUTDOWN), 4, b""),
    "shutdown": (START + fake.bye(pb.Bye.SHUTDOWN), 4, LINE),
    "given up": (START + fake.bye(pb.Bye.SLOW_READER), 4, LINE),
}  # fmt: skip


@pytest.mark.parametrize("data, expected, lines", ODD.values(), ids=ODD)
def test_odd(place, data, expected, lines):
    """Not what a collector says, but it has a meaning."""
    code, out, err = fake.run_against(place, data)
    assert (code, out) == (expected, lines), err
    fake.assert_one_line(err)


# ------------------------------------------------------------- hostile text

CONTROLS = "a\x1b[2J\x1b]0;x\x07\r\n\t\x7f\x9b0m\u202eb\u2028\u2066\u200f"
TEXT = CONTROLS.encode() + b"\xff\xc3(\xed\xa0\x80"  # and three times what is no UTF-8
CONNECTION_STRINGS = {"laddr": 2, "raddr": 4, "comm": 8, "cgroup": 12, "sock": 13}
ERROR = wire.frame(nested(6, b"\x08\3" + nested(2, TEXT)))


@pytest.mark.parametrize("how", ["table", "compact", "json"])
def test_hostile_text_of_events(place, how):
    texts = b"".join(nested(number, TEXT) for number in CONNECTION_STRINGS.values())
    hello = b"\x08\1" + nested(3, TEXT) + nested(6, TEXT) + nested(6, b"conn")
    failed = raw_event(nested(2, texts), nested(4, b"\x08\4" + nested(3, TEXT)))
    data = wire.frame(nested(1, hello)) + LIVE + failed + ERROR
    code, out, err = fake.run_against(place, data, "subscribe", "-v", "-o", how)
    assert code == 1 and fake.is_clean(out) and fake.is_clean(err), err
    assert len(out.splitlines()) == (2 if how == "table" else 1), out
    # All the texts are there.
    assert out.count(b"[2J") == (6 if how == "json" else out.count(b"\\x1b[2J")) >= 4, out
    assert err.startswith(b"subscribed") and b"a\\x1b[2J\\x1b]0;x\\x07\\x0d\\x0a\\x09" in err, err


@pytest.mark.parametrize("how", ["table", "json"])
def test_hostile_text_of_status(place, how):
    category = nested(1, TEXT) + b"\x10\1" + nested(4, TEXT) + nested(4, TEXT)
    absent = nested(1, TEXT) + b"\x10\0" + nested(3, TEXT)
    body = nested(1, TEXT) + nested(2, TEXT) + nested(5, category) + nested(5, absent)
    body += nested(6, nested(3, TEXT) + nested(3, TEXT))
    data = HELLO + wire.frame(nested(4, body)) + BYE
    code, out, err = fake.run_against(place, data, "status", "-o", how)
    assert (code, err) == (0, b"") and fake.is_clean(out)
    assert out.count(b"[2J") == 9, out


def test_text_in_place_of_a_category(place):
    """What is not offered is told by its own name."""
    data = wire.frame(nested(1, b"\x08\1" + nested(6, TEXT)))
    code, out, err = fake.run_against(place, data, *CONN)
    assert (code, out) == (78, b"") and fake.is_clean(err) and b'"conn"' in err


def test_long_text(place):
    """A frame's worth of each hostile text; and a line of it is out as a whole."""
    text = b"\x1b" * (REPLY_MAX - 32)
    error = wire.frame(nested(6, nested(2, text)))
    for how, escape in ("table", b"\\x1b"), ("compact", b"\\x1b"), ("json", b"\\u001b"):
        data = GREETED + raw_event(nested(2, nested(8, text)), nested(4, b"")) + error
        code, out, err = fake.run_against(place, data, "subscribe", "-o", how)
        assert code == 1 and out.count(escape) == len(text), (how, err)
        fake.assert_one_line(err)


def test_large_status(place):
    """Many small members: all of them are out."""
    categories = nested(5, b"") * 20000 + nested(6, b"") * 10000
    body = HELLO + wire.frame(nested(4, categories)) + BYE
    code, out, err = fake.run_against(place, body, "status")
    assert (code, err, len(out.splitlines())) == (0, b"", 4 + 2 + 20000 + 2 + 10000)
    code, out, err = fake.run_against(place, body, "status", "-o", "json")
    assert (code, err, out.count(b"{}")) == (0, b"", 30000)


# ------------------------------------------------------------------ at random


def mutated(made, data):
    """The bytes with a few of them changed, gone, or twice."""
    data = bytearray(data)
    for _ in range(made.randrange(1, 4)):
        at = made.randrange(len(data))
        data[at : at + made.randrange(3)] = made.randbytes(made.randrange(3))
    return bytes(data)


def test_random_bytes(place):
    """Whatever comes, each line is an event, and the code one of the contract's."""
    seed = int.from_bytes(os.urandom(8), "little")
    made = random.Random(seed)
    transcripts = [path.read_bytes() for path in DATA.glob("*er.collector")]
    for turn in range(RANDOM_TRANSCRIPTS):
        code, out, err = fake.run_against(place, mutated(made, made.choice(transcripts)))
        assert code in (0, 1, 4, 76, 77, 78), (seed, turn, code, err)
        assert fake.is_clean(out) and fake.is_clean(err), (seed, turn, out, err)
        assert all(line.startswith(b"netwatch: ") for line in err.splitlines()), (seed, turn, err)
        for line in out.splitlines():
            assert json_format.Parse(line, pb.Event()), (seed, turn, line)
