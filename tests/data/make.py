#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes the transcripts beside it: one side each of a conversation in which the other side
speaks an older or a newer minor version of the protocol, or another major one.

The newer version is today's netwatch.proto with additions of every kind that are not in it.
Bytes that were committed stay as they are: a change of today's schema must not change them."""

import subprocess
import sys
import tempfile
from pathlib import Path

DATA = Path(__file__).resolve().parent
ROOT = DATA.parents[1]

SECONDS = 1795349051  # 2026-11-22T12:04:11Z
LONG = 8_000  # bytes of an unknown string
UNKNOWN_FIELDS = 200  # numbers from here on are not in today's schema
HIGH = 3000  # beyond what one byte counts
HIGHEST = 536_870_911  # of a field, in protobuf
UNKNOWN_VALUE = 60  # of an enum
EXTENDED = (
    "Request Reply Hello Subscribe Unsubscribe List StatusRequest Filter PortSet PortRange Event "
    "Connection Conn Lost Subscribed Totals Bye Error Status CategoryStatus SubscriptionStatus"
)
ENUMS = "Scope Role Conn.Stage Conn.Closer Tcp.State Lost.Cause Bye.Reason Error.Code"


def newer_schema():
    """Tomorrow's messages by name: new_* fields of every wire type in every message, values
    TOMORROW in every enum, and new members of Request, Reply and Event."""
    import netwatch_pb2
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

    made = descriptor_pb2.FileDescriptorProto()
    netwatch_pb2.DESCRIPTOR.CopyToProto(made)
    messages = {entry.name: entry for entry in made.message_type}
    kinds = descriptor_pb2.FieldDescriptorProto

    def add(message, name, number, kind, label=kinds.LABEL_OPTIONAL, of=None, oneof=None):
        field = message.field.add(name=name, number=number, type=kind, label=label)
        if of:
            field.type_name = f".netwatch.{of}"
        if oneof is not None:
            field.oneof_index = oneof
        if label == kinds.LABEL_REPEATED:
            field.options.packed = True

    tomorrow = made.message_type.add(name="Tomorrow")
    add(tomorrow, "text", 1, kinds.TYPE_STRING)
    add(tomorrow, "number", 2, kinds.TYPE_UINT64)
    for name in EXTENDED.split():
        message = messages[name]
        add(message, "new_varint", UNKNOWN_FIELDS, kinds.TYPE_UINT64)
        add(message, "new_fixed64", UNKNOWN_FIELDS + 1, kinds.TYPE_FIXED64)
        add(message, "new_string", UNKNOWN_FIELDS + 2, kinds.TYPE_STRING)
        add(message, "new_fixed32", UNKNOWN_FIELDS + 3, kinds.TYPE_FIXED32)
        add(message, "new_message", HIGH, kinds.TYPE_MESSAGE, of="Tomorrow")
        add(message, "new_packed", HIGHEST, kinds.TYPE_SINT32, kinds.LABEL_REPEATED)
    for name in "Request", "Reply", "Event":
        oneof = 0 if messages[name].oneof_decl else None
        add(messages[name], "tomorrow", 240, kinds.TYPE_MESSAGE, of="Tomorrow", oneof=oneof)
        add(messages[name], "late", HIGH + 1, kinds.TYPE_MESSAGE, of="Tomorrow", oneof=oneof)
        # protobuf wants the members of a oneof in one piece
        messages[name].field.sort(key=lambda f: f.oneof_index if f.HasField("oneof_index") else -1)
    enums = {entry.name: entry for entry in made.enum_type}
    for message in made.message_type:
        enums.update({f"{message.name}.{entry.name}": entry for entry in message.enum_type})
    for path in ENUMS.split():
        name = f"TOMORROW_{path.upper().replace('.', '_')}"
        enums[path].value.add(name=name, number=UNKNOWN_VALUE)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(made.SerializeToString())
    factory = message_factory.MessageFactory(pool)
    names = EXTENDED.split()
    return {n: factory.GetPrototype(pool.FindMessageTypeByName(f"netwatch.{n}")) for n in names}


def extend(message, text="tomorrow"):
    """Fills the new fields of a message and of all that it holds."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE or field.message_type.file.name != "netwatch.proto":
            continue
        for each in value if field.label == field.LABEL_REPEATED else [value]:
            extend(each, text)
    if "new_varint" in message.DESCRIPTOR.fields_by_name:
        message.new_varint = 2**64 - 1
        message.new_fixed64 = 2**63
        message.new_string = text
        message.new_fixed32 = 2**32 - 1
        message.new_message.text = text
        message.new_packed.extend([-1, 0, 2**31 - 1])
    return message


CONNECTION = {
    "id": 4101, "laddr": "127.0.0.1", "lport": 45684, "raddr": "127.0.0.1", "rport": 80,
    "role": 1, "pid": 5173, "comm": "curl", "uid": 1000, "netns": 4026531840,
}  # fmt: skip
LISTENER = {"id": 4000, "laddr": "::", "lport": 80, "role": 2}
TOTALS = {"matched": 7, "delivered": 4, "lost_kernel": 3, "duration_us": 1_500_000}
CLOSE = {
    "event": 5, "state": 7, "closed_by": 1, "duration_us": 3267, "bytes_received": 119,
    "bytes_acked": 503, "segs_in": 6, "segs_out": 5, "total_retransmits": 0,
}  # fmt: skip


def at(nanos):
    return {"seconds": SECONDS, "nanos": nanos}


def conn(nanos, connection, detail):
    """A Reply's fields."""
    return {"event": {"time": at(nanos), "connection": connection, "conn": detail}}


def older_collector(pb):
    """Hello without minor, epoch and scope; events with less about the connection, without
    state, and one without a time; no totals."""
    little = {"id": 4101, "laddr": "127.0.0.1", "lport": 45684, "raddr": "127.0.0.1", "rport": 80}
    return [
        pb.Reply(hello={"major": 1, "category": ["conn"]}),
        pb.Reply(**conn(1, LISTENER, {"event": 1})),
        pb.Reply(subscribed={}),
        pb.Reply(**conn(93211045, little, {"event": 3, "handshake_us": 41})),
        pb.Reply(event={"connection": little, "conn": {"event": 4, "error": "ECONNREFUSED"}}),
        pb.Reply(event={"lost": {"cause": 1}}),
        pb.Reply(**conn(93300000, little, {"event": 5, "duration_us": 3267})),
        pb.Reply(bye={}),
    ]


def older_status(pb):
    return [
        pb.Reply(hello={"major": 1, "category": ["conn"]}),
        pb.Reply(status={"version": "0.0.9", "category": [{"name": "conn", "available": True}]}),
        pb.Reply(bye={}),
    ]


def newer_hello(pb):
    return extend(pb.Reply(hello={
        "major": 1, "minor": 7, "program": "netwatch-collector 0.9", "epoch": 1,
        "scope": UNKNOWN_VALUE, "category": ["tomorrow", "conn"],
    }))  # fmt: skip


def newer_collector(pb):
    """Unknown kinds of replies and events, unknown fields in each message, unknown values of
    each enum, between events that are known."""
    unknown = {"event": UNKNOWN_VALUE, "state": UNKNOWN_VALUE, "handshake_us": 41}
    lost = {"cause": UNKNOWN_VALUE, "count": 3, "first": at(93211045), "last": at(93300000)}
    replies = [
        pb.Reply(tomorrow={"text": "before it is live", "number": 1}),
        pb.Reply(**conn(1, LISTENER, {"event": 1, "state": 10})),
        pb.Reply(subscribed={}),
        pb.Reply(event={"time": at(2), "connection": CONNECTION, "tomorrow": {"text": "unknown"}}),
        pb.Reply(event={"time": at(3), "late": {"number": 3}}),
        pb.Reply(**conn(93211045, CONNECTION, {"event": 3, "state": 1, "handshake_us": 41})),
        pb.Reply(late={"text": "between events"}),
        pb.Reply(**conn(93211046, {**CONNECTION, "role": UNKNOWN_VALUE}, unknown)),
        pb.Reply(event={"lost": lost}),
        pb.Reply(**conn(93300000, CONNECTION, {**CLOSE, "closed_by": UNKNOWN_VALUE})),
        pb.Reply(**conn(93300001, CONNECTION, CLOSE)),
        pb.Reply(bye={"reason": 1, "totals": TOTALS}),
    ]
    return [newer_hello(pb), *map(extend, replies)]


def newer_long(pb):
    """The same with strings longer than a page, and a frame with a length of three bytes."""
    text = "x\u202e" * (LONG // 4)
    return [
        newer_hello(pb),
        pb.Reply(subscribed={}),
        pb.Reply(tomorrow={"text": text}),
        extend(pb.Reply(**conn(1, CONNECTION, {"event": 2, "state": 2})), "y" * (LONG // 10)),
        pb.Reply(bye={"reason": 1, "new_string": text}),
    ]


def newer_status(pb):
    shown = {
        "version": "0.9", "kernel": "9.1", "uptime_s": 100_000, "scope": UNKNOWN_VALUE,
        "category": [
            {"name": "conn", "available": True, "hook": ["tp_btf/inet_sock_set_state"]},
            {"name": "tomorrow", "available": False, "reason": "too early"},
        ],
        "subscription": [{
            "uid": 1000, "pid": 5173, "category": ["conn", "tomorrow"], "totals": TOTALS,
            "events_per_s": 2, "queue_bytes": 0, "slot": 1,
        }],
    }  # fmt: skip
    return [newer_hello(pb), *map(extend, [pb.Reply(status=shown), pb.Reply(bye={"reason": 1})])]


def newer_bye(pb):
    bye = {"reason": UNKNOWN_VALUE, "totals": TOTALS}
    return [newer_hello(pb), pb.Reply(subscribed={}), extend(pb.Reply(bye=bye))]


def newer_error(pb):
    error = {"code": UNKNOWN_VALUE, "message": "not before tomorrow"}
    return [newer_hello(pb), extend(pb.Reply(error=error))]


def other_major_collector(pb):
    return [extend(pb.Reply(hello={"major": 2, "minor": 3, "category": ["conn"]}))]


def other_major_refusal(pb):
    message = "version 1 of the protocol: this collector speaks version 2.3"
    return [extend(pb.Reply(error={"code": 1, "message": message}))]


def older_client(pb):
    return [
        pb.Request(hello={"major": 1}),
        pb.Request(subscribe={"category": ["conn"]}),
        pb.Request(unsubscribe={}),
    ]


def newer_greeting(pb):
    return extend(pb.Request(hello={"major": 1, "minor": 7, "program": "netwatch 0.9"}))


def newer_client(pb):
    """Without what an older collector must not ignore it is served."""
    subscribe = pb.Request(subscribe={"category": ["conn"], "closed": True})
    return [newer_greeting(pb), subscribe, extend(pb.Request(unsubscribe={}))]


def newer_client_status(pb):
    return [newer_greeting(pb), extend(pb.Request(status={}))]


def newer_client_request(pb):
    return [newer_greeting(pb), extend(pb.Request(tomorrow={"text": "do it"}))]


def newer_client_category(pb):
    return [newer_greeting(pb), pb.Request(subscribe={"category": ["conn", "tomorrow"]})]


def newer_client_subscribe(pb):
    return [newer_greeting(pb), pb.Request(subscribe={"category": ["conn"], "new_varint": 1})]


def newer_client_filter(pb):
    one = {"lport": {"any": [{"first": 80}]}, "new_string": "only mine"}
    return [newer_greeting(pb), pb.Request(subscribe={"category": ["conn"], "filter": one})]


def newer_client_role(pb):
    one = {"role": [1, UNKNOWN_VALUE]}
    return [newer_greeting(pb), pb.Request(list={"filter": one})]


def newer_client_list(pb):
    return [newer_greeting(pb), pb.Request(list={"new_message": {"text": "sorted"}})]


def other_major_client(pb):
    return [extend(pb.Request(hello={"major": 2, "minor": 3, "program": "netwatch 2.3"}))]


MAKERS = {
    "older.collector": older_collector,
    "older-status.collector": older_status,
    "newer.collector": newer_collector,
    "newer-long.collector": newer_long,
    "newer-status.collector": newer_status,
    "newer-bye.collector": newer_bye,
    "newer-error.collector": newer_error,
    "other-major.collector": other_major_collector,
    "other-major-refusal.collector": other_major_refusal,
    "older.client": older_client,
    "newer.client": newer_client,
    "newer-status.client": newer_client_status,
    "newer-request.client": newer_client_request,
    "newer-category.client": newer_client_category,
    "newer-subscribe.client": newer_client_subscribe,
    "newer-filter.client": newer_client_filter,
    "newer-role.client": newer_client_role,
    "newer-list.client": newer_client_list,
    "other-major.client": other_major_client,
}


def transcripts():
    """Bytes by file name; needs wire.py and what protoc generates where Python looks."""
    import types

    import wire

    pb = types.SimpleNamespace(**newer_schema())
    return {name: b"".join(map(wire.frame, maker(pb))) for name, maker in MAKERS.items()}


def main():
    with tempfile.TemporaryDirectory() as place:
        command = ["protoc", f"-I{ROOT}/proto", "-I/usr/include", f"--python_out={place}"]
        subprocess.run([*command, "netwatch.proto"], check=True)
        sys.path[:0] = [place, str(ROOT / "tests/e2e")]
        for name, data in transcripts().items():
            (DATA / name).write_bytes(data)


if __name__ == "__main__":
    main()
