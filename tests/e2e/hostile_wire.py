# SPDX-License-Identifier: GPL-2.0-only
"""What a hostile client may say, as data: name, bytes, and the answer that each must get."""

from dataclasses import dataclass

import netwatch_pb2 as pb
import wire

FRAME, INVALID, LIMIT, VERSION = (
    pb.Error.FRAME, pb.Error.INVALID, pb.Error.LIMIT, pb.Error.VERSION,
)  # fmt: skip
HELLO = wire.frame(wire.hello())
SETS = {
    "lport": 1, "rport": 2, "port": 3, "laddr": 4, "raddr": 5, "addr": 6, "pid": 8, "comm": 9,
    "uid": 10, "netns": 12, "cgroup": 13,
}  # fmt: skip
PORTS, PREFIXES, NUMBERS = ["lport", "rport", "port"], ["laddr", "raddr", "addr"], [
    "pid", "uid", "netns", "cgroup",
]  # fmt: skip


@dataclass
class Input:
    name: str
    data: bytes  # what is sent, after hello
    kind: str  # of the last reply: a member of Reply
    code: int = None  # of an error
    word: str = ""  # that its message must have
    greet: bool = True


def field(number, body):
    """A length-delimited field."""
    return wire.varint(number << 3 | 2) + wire.varint(len(body)) + body


def number_field(number, value):
    return wire.varint(number << 3) + wire.varint(value)


UNKNOWN = number_field(77, 5)
OTHER_UNKNOWN = {
    "fixed64": wire.varint(77 << 3 | 1) + b"8 bytes!",
    "bytes": field(77, b"\x1b[2J"),
    "fixed32": wire.varint(77 << 3 | 5) + b"4byt",
    "largest number": number_field((1 << 29) - 1, 1),
}
CONN = field(1, b"conn")


def subscribe(filter_body=b"", more=b"", category=CONN):
    return wire.frame(field(2, category + field(2, filter_body) + more))


def criteria(**members):
    return subscribe(pb.Filter(**members).SerializePartialToString())


def prefixes():
    lengths = {
        "4097": wire.varint(4097), "5000": wire.varint(5000), "64K": wire.varint(1 << 16),
        "2^21": wire.varint(1 << 21), "2^28": wire.varint(1 << 28),
        "2^31-1": wire.varint((1 << 31) - 1), "2^31": wire.varint(1 << 31),
        "2^32-1": wire.varint((1 << 32) - 1), "2^32": wire.varint(1 << 32),
        "2^35-1": wire.varint((1 << 35) - 1), "4097 on five bytes": b"\x81\xa0\x80\x80\x00",
    }  # fmt: skip
    no_varints = {
        "zero": b"\x00", "zero on two bytes": b"\x80\x00",
        "zero on five bytes": b"\x80" * 4 + b"\x00", "2^35": wire.varint(1 << 35),
        "2^63": wire.varint(1 << 63), "endless": b"\xff" * 11, "endless zero": b"\x80" * 64,
    }  # fmt: skip
    for greet in True, False:
        when = "after hello" if greet else "before hello"
        for name, data in lengths.items():
            yield Input(f"length {name}, {when}", data, "error", FRAME, "4096", greet)
        for name, data in no_varints.items():
            yield Input(f"length {name}, {when}", data, "error", FRAME, "length", greet)


def no_messages():
    bodies = {
        "tag 0": b"\x00\x00",
        "field 0": b"\x02\x01x",
        "endless tag": b"\xff" * 12,
        "tag alone": b"\x12",
        "tag of 2^32": wire.varint(1 << 35 | 2) + b"\x00",
        "length beyond the end": b"\x12\x05abc",
        "length of 2^32": b"\x12" + wire.varint(1 << 32) + b"abc",
        "length of 2^63": b"\x12" + wire.varint(1 << 63) + b"abc",
        "length of -1": b"\x12" + wire.varint((1 << 64) - 1) + b"abc",
        "endless length": b"\x12" + b"\xff" * 12,
        "begin of a group": b"\x13" + b"\x14",
        "end of a group": b"\x14",
        "wire type 6": b"\x16\x01",
        "wire type 7": b"\x17\x01",
        "hello as a number": number_field(1, 7),
        "subscribe as fixed32": b"\x15abcd",
        "fixed64 cut": field(1, b"\x21abc"),
        "endless varint inside": field(1, b"\x08" + b"\xff" * 12),
        "a filter that is text": field(2, CONN + field(2, b"\xffnonsense")),
        "a port set cut": field(2, CONN + field(2, b"\x0a\x7f")),
        "a range cut": field(2, CONN + field(2, field(1, b"\x0a\x7f"))),
        "a prefix cut": field(2, CONN + field(2, field(4, field(1, b"\x0a\x7f")))),
        "family packed and cut": field(2, CONN + field(2, field(7, b"\xff"))),
        "pids packed and cut": field(2, CONN + field(2, field(8, field(1, b"\xff\xff")))),
        "a category cut": field(2, b"\x0a\x7fconn"),
        # Merging what comes again and again takes more than a request may.
        "500 filters of one port": field(2, CONN + field(2, field(1, field(1, b"")) ) * 500),
    }  # fmt: skip
    for name, body in bodies.items():
        yield Input(f"no message: {name}", wire.frame(body), "error", FRAME, "not a request")


def unknown_fields():
    def both(name, filter_body, word="field 77"):
        yield Input(f"subscribe: {name}", subscribe(filter_body), "error", INVALID, word)
        listed = wire.frame(field(4, field(1, filter_body)))
        yield Input(f"list: {name}", listed, "error", INVALID, word)

    yield Input("unknown in subscribe", subscribe(b"", UNKNOWN), "error", INVALID, "field 77")
    yield Input("unknown in list", wire.frame(field(4, UNKNOWN)), "error", INVALID, "field 77")
    yield from both("unknown in filter", UNKNOWN)
    for name, body in OTHER_UNKNOWN.items():
        yield from both(f"unknown {name}", body, "field")
    for name, number in SETS.items():
        yield from both(f"unknown in {name}", field(number, UNKNOWN))
    for name in PORTS + PREFIXES:
        for side, member in ("any", 1), ("none", 2):
            yield from both(
                f"unknown in {name}.{side}", field(SETS[name], field(member, UNKNOWN))
            )
    skipped = {
        "unknown in hello": field(1, number_field(1, 1) + UNKNOWN * 300),
        "hello with categories": field(1, number_field(1, 1) + field(6, b"") * 2000),
        "hello with minor 2^32-1": field(1, number_field(1, 1) + number_field(2, (1 << 32) - 1)),
        "hello with a scope": field(1, number_field(1, 1) + number_field(5, 3)),
        "hello with a name that is no UTF-8": field(1, number_field(1, 1) + field(3, b"\xff\x1b")),
        "unknown beside hello": field(1, number_field(1, 1)) + UNKNOWN,
        "200 hellos in one": field(1, number_field(1, 1)) * 200,
    }
    for name, body in skipped.items():
        yield Input(name, wire.frame(body), "hello", greet=False)
    yield Input("unknown in status", wire.frame(field(5, UNKNOWN)), "bye")
    yield Input("unknown request", wire.frame(field(78, b"")), "error", INVALID, "request")
    yield Input("a request of nothing known", wire.frame(UNKNOWN), "error", INVALID, "request")


def bounds():
    """At each bound, and one beyond."""
    port, prefix = pb.PortRange(first=9), pb.Prefix(address=b"\x7f\0\0\1")

    def row(name, word, at, beyond):
        yield Input(f"{name} at the limit", criteria(**at), "subscribed")
        yield Input(f"{name} beyond", criteria(**beyond), "error", LIMIT, word)

    for name in PORTS:
        ranges = [pb.PortRange(first=9, last=99)]
        for side in "any", "none":
            yield from row(
                f"{name}.{side}", f"{name}: more than 64",
                {name: pb.PortSet(**{side: [port] * 64})},
                {name: pb.PortSet(**{side: [port] * 64 + ranges})},
            )  # fmt: skip
    yield from row(
        "ports in all sets", "port: more than 64",
        {"lport": pb.PortSet(any=[port] * 21, none=[port]), "rport": pb.PortSet(any=[port] * 21),
         "port": pb.PortSet(none=[port] * 21)},
        {"lport": pb.PortSet(any=[port] * 22), "rport": pb.PortSet(any=[port] * 22),
         "port": pb.PortSet(none=[port] * 21)},
    )  # fmt: skip
    for name in PREFIXES:
        for side in "any", "none":
            yield from row(
                f"{name}.{side}", f"{name}: more than 16",
                {name: pb.PrefixSet(**{side: [prefix] * 16})},
                {name: pb.PrefixSet(**{side: [prefix] * 17})},
            )  # fmt: skip
    yield from row(
        "prefixes in all sets", "addr: more than 16",
        {"laddr": pb.PrefixSet(any=[prefix] * 5, none=[prefix] * 6),
         "addr": pb.PrefixSet(none=[prefix] * 5)},
        {"laddr": pb.PrefixSet(any=[prefix] * 6, none=[prefix] * 6),
         "addr": pb.PrefixSet(none=[prefix] * 5)},
    )  # fmt: skip
    for name in NUMBERS:
        yield from row(
            name, f"{name}: more than 64",
            {name: pb.NumberSet(any=[0] * 32, none=[1] * 32)},
            {name: pb.NumberSet(any=[0] * 32, none=[1] * 33)},
        )  # fmt: skip
    yield from row(
        "comm", "comm: more than 64",
        {"comm": pb.StringSet(any=["a"] * 63, none=["b"])},
        {"comm": pb.StringSet(any=["a"] * 63, none=["b"] * 2)},
    )  # fmt: skip
    yield from row(
        "a name", "255",
        {"comm": pb.StringSet(any=["x" * 255])}, {"comm": pb.StringSet(any=["x" * 256])},
    )  # fmt: skip
    yield Input("a name of 3 KB", criteria(comm=pb.StringSet(none=["x" * 3000])), "error", LIMIT,
                "255")  # fmt: skip


def bad_values():
    ranges = {
        "port 0": (0, None), "port 65536": (65536, None), "port 2^32-1": ((1 << 32) - 1, None),
        "0-65535": (0, 65535), "1-65536": (1, 65536), "1-0": (1, 0), "80-70": (80, 70),
        "no first": (None, 7), "neither": (None, None),
    }  # fmt: skip
    for index, (name, (first, last)) in enumerate(ranges.items()):
        where = PORTS[index % 3]
        made = pb.PortSet(any=[pb.PortRange(first=first, last=last)])
        yield Input(f"{where}: {name}", criteria(**{where: made}), "error", INVALID, where)
    addresses = {f"address of {n} bytes": (n, 0) for n in (0, 1, 3, 5, 15, 17, 255)}
    addresses |= {
        "IPv4 /33": (4, 33), "IPv4 /255": (4, 255), "IPv4 /2^32-1": (4, (1 << 32) - 1),
        "IPv6 /129": (16, 129), "IPv6 /256": (16, 256), "IPv6 /2^32-1": (16, (1 << 32) - 1),
    }  # fmt: skip
    for index, (name, (size, length)) in enumerate(addresses.items()):
        where = PREFIXES[index % 3]
        made = pb.PrefixSet(none=[pb.Prefix(address=b"\xff" * size, length=length)])
        yield Input(f"{where}: {name}", criteria(**{where: made}), "error", INVALID, where)
    for value in 0, 5, 7, (1 << 31) - 1, (1 << 64) - 1:
        yield Input(f"family {value}", subscribe(number_field(7, value)), "error", INVALID, "family")
        yield Input(f"role {value}", subscribe(number_field(11, value)), "error", INVALID, "role")
    for name, text in {"empty": b"", "NUL": b"\0", "NUL first": b"\0abc"}.items():
        yield Input(f"comm {name}", subscribe(field(9, field(1, text))), "error", INVALID, "comm")
    largest = pb.NumberSet(any=[0, (1 << 32) - 1, 1 << 32, (1 << 64) - 1])
    for name in NUMBERS:
        yield Input(f"{name} of all sizes", criteria(**{name: largest}), "subscribed")
    packed = field(10, field(1, b"".join(wire.varint(n) for n in range(64))))
    yield Input("numbers packed", subscribe(packed), "subscribed")
    yield Input("1300 times the same family", subscribe(number_field(7, 4) * 1300), "subscribed")
    yield Input("2000 roles packed", subscribe(field(11, b"\x01" * 2000)), "subscribed")


HOSTILE = {
    "escape": b"\x1b[2J\x1b]0;title\x07", "newline": b"a\r\nnetwatch-collector: error",
    "no UTF-8": b"\xff\xfe\xc0\x80", "surrogate": b"\xed\xa0\x80", "bidi": "\u202egpj".encode(),
    "C1": "\u009b2J".encode(), "format": b"%s%n%99999d", "line separator": "\u2028x".encode(),
    "path": b"../../etc/passwd", "DEL": b"\x7f\x08\x08", "shell": b"$(id)`id`;id",
}  # fmt: skip


def hostile_strings():
    for name, text in HOSTILE.items():
        named = subscribe(category=field(1, text))
        yield Input(f"category {name}", named, "error", INVALID, "is not known")
        yield Input(f"comm {name}", subscribe(field(9, field(1, text))), "subscribed")
    yield Input("no category", subscribe(category=b""), "error", INVALID, "category")
    yield Input("empty category", subscribe(category=field(1, b"")), "error", INVALID, "category")
    yield Input("category of 3 KB", subscribe(category=field(1, b"c" * 3000)), "error", INVALID,
                "cccc")  # fmt: skip
    yield Input("category in capitals", subscribe(category=field(1, b"CONN")), "error", INVALID,
                "CONN")  # fmt: skip
    yield Input("600 times conn", subscribe(category=CONN * 600), "subscribed")
    yield Input("conn and nonsense", subscribe(category=CONN + field(1, b"nonsense")), "error",
                INVALID, "nonsense")  # fmt: skip


def wrong_order():
    requests = {
        "subscribe": subscribe(), "unsubscribe": wire.frame(field(3, b"")),
        "list": wire.frame(field(4, b"")), "status": wire.frame(field(5, b"")),
    }  # fmt: skip
    for name, data in requests.items():
        yield Input(f"{name} before hello", data, "error", INVALID, name, greet=False)
    yield Input("hello twice", HELLO, "error", INVALID, "hello")
    yield Input("unsubscribe from nothing", requests["unsubscribe"], "error", INVALID,
                "unsubscribe")  # fmt: skip
    for name in "subscribe", "list", "status":
        yield Input(f"{name} after subscribe", subscribe() + requests[name], "error", INVALID, name)
        yield Input(f"{name} after list", requests["list"] + requests[name],
                    "error" , INVALID, name)  # fmt: skip
    yield Input("unsubscribe in the same write", subscribe() + requests["unsubscribe"], "bye")
    yield Input("unsubscribe 100 times", subscribe() + requests["unsubscribe"] * 100, "bye")
    yield Input("status and 60 KB behind it", requests["status"] + b"\xff" * 60000, "bye")
    yield Input("all requests in one", wire.frame(
        field(1, b"") + field(2, CONN) + field(3, b"") + field(4, b"") + field(5, b"")), "bye")
    for name, body in {
        "0": number_field(1, 0), "2": number_field(1, 2), "2^32-1": number_field(1, (1 << 32) - 1),
        "2^32+1, cut to 1": number_field(1, (2 << 32)), "absent": b"",
    }.items():  # fmt: skip
        yield Input(f"version {name}", wire.frame(field(1, body)), "error", VERSION, "version",
                    greet=False)  # fmt: skip


INPUTS = [
    *prefixes(), *no_messages(), *unknown_fields(), *bounds(), *bad_values(), *hostile_strings(),
    *wrong_order(),
]  # fmt: skip
