# SPDX-License-Identifier: GPL-2.0-only
"""Programs of different versions: transcripts of tests/data, played to the real client and to
the real collector."""

import importlib.util
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.protobuf import json_format

import fake_collector as fake
import netwatch_pb2 as pb
import wire
from harness import CONN, DEADLINE_S

DATA = Path(__file__).resolve().parents[1] / "data"
SUBSCRIBE = [*CONN, "--stats"]


def load_maker():
    spec = importlib.util.spec_from_file_location("make_transcripts", DATA / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = load_maker()


def transcript(name):
    return (DATA / name).read_bytes()


def bodies(data):
    """The messages of a transcript, whole ones."""
    left = bytearray(data)
    while (body := wire.take_frame(left)) is not None:
        yield body


def play(place, name, *args, say=None):
    """The client with a transcript as its collector."""
    data = transcript(name)

    def script(peer):
        peer.converse(data, say and (lambda said: say(peer, said)))

    return fake.run_with(place, script, *args)


def test_transcripts_are_as_made():
    made = make.transcripts()
    kept = {path.name for path in DATA.iterdir() if path.suffix in (".client", ".collector")}
    assert kept == set(made)
    for name, data in made.items():
        assert transcript(name) == data, f"{name}: make.py makes other bytes"


def test_newer_is_newer():
    """Today's schema does not know what the newer transcripts add."""
    for name in "newer.collector", "newer-status.collector":
        for body in bodies(transcript(name)):
            reply = pb.Reply.FromString(body)
            size = reply.ByteSize()
            reply.DiscardUnknownFields()
            assert reply.ByteSize() < size


# ------------------------------------------------------------ what is printed

HEADER = "TIME CATEGORY EVENT LOCAL REMOTE PROCESS ROLE UID CGROUP NETNS ID DETAILS"
ENDS = '"laddr":"127.0.0.1","lport":45684,"raddr":"127.0.0.1","rport":80'
WHO = '"pid":5173,"comm":"curl","uid":1000,"netns":4026531840'
LISTENER = '{"id":"4000","laddr":"::","lport":80,"role":"SERVER"}'
OLD = f'{{"id":"4101",{ENDS}}}'
NEW = f'{{"id":"4101",{ENDS},"role":"CLIENT",{WHO}}}'
NEW_ROLE = f'{{"id":"4101",{ENDS},{WHO}}}'
TOTALS = (
    '"duration_us":3267,"bytes_received":119,"bytes_acked":503,"segs_in":6,"segs_out":5,'
    '"total_retransmits":0'
)
DAY = "2026-11-22T12:04:11"
COUNTERS = (
    "duration_us=3267 bytes_received=119 bytes_acked=503 segs_in=6 segs_out=5 total_retransmits=0"
)
OLD_CELLS = "127.0.0.1:45684 127.0.0.1:80 - - - - - 4101"
NEW_CELLS = "127.0.0.1:45684 127.0.0.1:80 curl[5173] CLIENT 1000 - 4026531840 4101"
NEW_ROLE_CELLS = NEW_CELLS.replace("CLIENT", "-")

EXPECTED = {
    ("older.collector", "json"): [
        f'{{"time":"{DAY}.000000001Z","connection":{LISTENER},"conn":{{"event":"EXISTING"}}}}',
        f'{{"time":"{DAY}.093211045Z","connection":{OLD},'
        '"conn":{"event":"ESTABLISHED","handshake_us":41}}',
        f'{{"connection":{OLD},"conn":{{"event":"FAILED","error":"ECONNREFUSED"}}}}',
        '{"lost":{"cause":"KERNEL_RING"}}',
        f'{{"time":"{DAY}.093300000Z","connection":{OLD},'
        '"conn":{"event":"CLOSE","duration_us":3267}}',
    ],
    ("older.collector", "compact"): [
        "12:04:11.000000 - [::]:80 < - conn EXISTING",
        "12:04:11.093211 - 127.0.0.1:45684 - 127.0.0.1:80 conn ESTABLISHED handshake_us=41",
        "- 127.0.0.1:45684 - 127.0.0.1:80 conn FAILED error=ECONNREFUSED",
        "12:04:11.093300 - 127.0.0.1:45684 - 127.0.0.1:80 conn CLOSE duration_us=3267",
    ],
    ("older.collector", "table"): [
        HEADER,
        "12:04:11.000000 conn EXISTING [::]:80 - - SERVER - - - 4000",
        f"12:04:11.093211 conn ESTABLISHED {OLD_CELLS} handshake_us=41",
        f"- conn FAILED {OLD_CELLS} error=ECONNREFUSED",
        f"12:04:11.093300 conn CLOSE {OLD_CELLS} duration_us=3267",
    ],
    ("newer.collector", "json"): [
        f'{{"time":"{DAY}.000000001Z","connection":{LISTENER},'
        '"conn":{"event":"EXISTING","state":"LISTEN"}}',
        f'{{"time":"{DAY}.093211045Z","connection":{NEW},'
        '"conn":{"event":"ESTABLISHED","state":"ESTABLISHED","handshake_us":41}}',
        f'{{"time":"{DAY}.093211046Z","connection":{NEW_ROLE},"conn":{{"handshake_us":41}}}}',
        f'{{"lost":{{"count":3,"first":"{DAY}.093211045Z","last":"{DAY}.093300000Z"}}}}',
        f'{{"time":"{DAY}.093300000Z","connection":{NEW},'
        f'"conn":{{"event":"CLOSE","state":"CLOSE",{TOTALS}}}}}',
        f'{{"time":"{DAY}.093300001Z","connection":{NEW},'
        f'"conn":{{"event":"CLOSE","state":"CLOSE","closed_by":"LOCAL",{TOTALS}}}}}',
    ],
    ("newer.collector", "compact"): [
        "12:04:11.000000 - [::]:80 < - conn EXISTING state=LISTEN",
        "12:04:11.093211 curl[5173] 127.0.0.1:45684 > 127.0.0.1:80 conn ESTABLISHED "
        "handshake_us=41",
        "12:04:11.093211 curl[5173] 127.0.0.1:45684 - 127.0.0.1:80 conn handshake_us=41",
        f"12:04:11.093300 curl[5173] 127.0.0.1:45684 > 127.0.0.1:80 conn CLOSE {COUNTERS}",
        "12:04:11.093300 curl[5173] 127.0.0.1:45684 > 127.0.0.1:80 conn CLOSE closed_by=LOCAL "
        f"{COUNTERS}",
    ],
    ("newer.collector", "table"): [
        HEADER,
        "12:04:11.000000 conn EXISTING [::]:80 - - SERVER - - - 4000 state=LISTEN",
        f"12:04:11.093211 conn ESTABLISHED {NEW_CELLS} handshake_us=41",
        f"12:04:11.093211 conn - {NEW_ROLE_CELLS} handshake_us=41",
        f"12:04:11.093300 conn CLOSE {NEW_CELLS} {COUNTERS}",
        f"12:04:11.093300 conn CLOSE {NEW_CELLS} closed_by=LOCAL {COUNTERS}",
    ],
    ("newer-long.collector", "json"): [
        f'{{"time":"{DAY}.000000001Z","connection":{NEW},'
        '"conn":{"event":"OPEN","state":"SYN_SENT"}}',
    ],
    ("newer-long.collector", "compact"): [
        "12:04:11.000000 curl[5173] 127.0.0.1:45684 > 127.0.0.1:80 conn OPEN state=SYN_SENT",
    ],
    ("newer-long.collector", "table"): [
        HEADER,
        f"12:04:11.000000 conn OPEN {NEW_CELLS} state=SYN_SENT",
    ],
}  # fmt: skip
STATS = (
    '{"matched":7,"delivered":4,"filtered":0,"lost_kernel":3,"lost_queue":0,'
    '"duration_s":1.500000}\n'
)
ENDED = "netwatch: disconnected: the collector ended the stream\n"  # nobody asked it to
NO_STATS = "netwatch: the collector did not give its account of 1 of 1 subscriptions\n"
TOLD = {
    "older.collector": ("netwatch: events were lost: cause=KERNEL_RING\n", NO_STATS),
    "newer.collector": (
        "netwatch: events were lost: count=3 first=2026-11-22T12:04:11.093211045Z "
        "last=2026-11-22T12:04:11.093300000Z\n",
        STATS,
    ),
    "newer-long.collector": ("", NO_STATS),
}  # fmt: skip


@pytest.mark.parametrize("say", [None, fake.Peer.trickle], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("name, how", EXPECTED, ids=[" ".join(key) for key in EXPECTED])
def test_events(place, name, how, say):
    code, out, err = play(place, name, *SUBSCRIBE, "-o", how, say=say)
    lines = out.decode().splitlines()
    if how == "table":  # its columns are as wide as their contents
        lines = [" ".join(line.split()) for line in lines]
    assert lines == EXPECTED[name, how]
    loss, stats = TOLD[name]
    assert (code, err.decode()) == (4, ("" if how == "json" else loss) + ENDED + stats)


@pytest.mark.parametrize("name", ["older.collector", "newer.collector"])
def test_list(place, name):
    code, out, err = play(place, name, "list", "-o", "json")
    assert (code, out.decode().splitlines(), err) == (0, EXPECTED[name, "json"], b"")


def says_what(event):
    """Does it say what happened, as far as this version knows?"""
    return any(field.name not in ("time", "connection") for field, _ in event.ListFields())


@pytest.mark.parametrize("name", ["older.collector", "newer.collector"])
def test_json_is_read_back(place, name):
    """By protobuf's own parser, with the schema of this version; what it yields is what was
    said, without what is unknown."""
    said = []
    for body in bodies(transcript(name)):
        reply = pb.Reply.FromString(body)
        reply.DiscardUnknownFields()
        if reply.HasField("event") and says_what(reply.event):
            said.append(reply.event)
    _, out, _ = play(place, name, *SUBSCRIBE, "-o", "json")
    assert [json_format.Parse(line, pb.Event()) for line in out.splitlines()] == said


def test_scope_is_not_guessed(place):
    for name in "older.collector", "newer.collector":
        _, _, err = play(place, name, *CONN, "-v")
        assert b"subscribed, scope unknown\n" in err, name


STATUS = {
    "older-status.collector": (
        '{"version":"0.0.9","category":[{"name":"conn","available":true}]}',
        ["version 0.0.9", "kernel -", "uptime 0d 00:00:00", "scope -", "",
         "CATEGORY HERE HOOKS, OR WHY NOT", "conn yes"],
    ),
    "newer-status.collector": (
        '{"version":"0.9","kernel":"9.1","uptime_s":100000,"category":[{"name":"conn",'
        '"available":true,"hook":["tp_btf/inet_sock_set_state"]},{"name":"tomorrow",'
        '"available":false,"reason":"too early"}],"subscription":[{"uid":1000,"pid":5173,'
        '"category":["conn","tomorrow"],"totals":{"matched":7,"delivered":4,"lost_kernel":3,'
        '"duration_us":1500000},"events_per_s":2,"queue_bytes":0,"slot":1}]}',
        ["version 0.9", "kernel 9.1", "uptime 1d 03:46:40", "scope -", "",
         "CATEGORY HERE HOOKS, OR WHY NOT", "conn yes tp_btf/inet_sock_set_state",
         "tomorrow no too early", "",
         "UID PID MATCHED DELIVERED LOST EVENTS/S QUEUE CATEGORIES",
         "1000 5173 7 4 3 2 0 conn,tomorrow"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STATUS)
def test_status(place, name):
    json, table = STATUS[name]
    code, out, err = play(place, name, "status", "-o", "json")
    assert (code, out.decode(), err) == (0, json + "\n", b"")
    json_format.Parse(out, pb.Status())
    code, out, err = play(place, name, "status")
    assert (code, err) == (0, b"")
    assert [" ".join(line.split()) for line in out.decode().splitlines()] == table


# -------------------------------------------------------------- how it ends

ENDS_WITH = {
    "newer-bye.collector": (4, "reason that this version does not know"),
    "newer-error.collector": (1, "not before tomorrow"),
    "other-major.collector": (76, "version 2 of the protocol, not 1"),
    "other-major-refusal.collector": (76, "version 1 of the protocol: this collector speaks "
                                          "version 2.3"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS_WITH)
def test_end(place, name):
    code, out, err = play(place, name, *CONN, "-o", "json")
    expected, sentence = ENDS_WITH[name]
    assert (code, out) == (expected, b"")
    assert sentence in err.decode() and err.count(b"\n") == 1, err


def test_hello_without_categories(place):
    """Whoever lists none offers none."""
    data = fake.reply(hello=pb.Hello(major=1))
    code, out, err = fake.run_with(place, lambda peer: peer.converse(data), *CONN)
    assert (code, out) == (78, b"") and b"conn" in err, err


GROUP = b"\xc3\x0c\x08\x01\xc4\x0c"  # field 200, which begins, holds a varint, and ends
GROUPS = {
    "reply": GROUP,
    "event": wire.nested(3, GROUP),
    "connection": wire.nested(3, wire.nested(2, GROUP) + wire.nested(4, b"")),
    "conn": wire.nested(3, wire.nested(4, GROUP)),
    "bye": wire.nested(7, GROUP),
    "error": wire.nested(6, GROUP),
}


@pytest.mark.parametrize("body", GROUPS.values(), ids=GROUPS)
def test_group_is_no_message(place, body):
    """protobuf-c knows no groups, so no version has any: the end, and a clean one."""
    data = fake.hello() + fake.subscribed() + wire.frame(body)
    code, out, err = fake.run_with(place, lambda peer: peer.converse(data), *CONN)
    assert code == 4 and b"no message" in err, err
    assert len(out.splitlines()) <= 1


def cut_short(place, name, cuts):
    """[(cut, exit code, stdout, stderr)] of clients whose collector goes after cut bytes."""
    data = transcript(name)
    listener = fake.socket.socket(fake.socket.AF_UNIX)
    path = str(place.new_path("cut"))
    listener.bind(path)
    listener.listen()
    listener.settimeout(DEADLINE_S)
    results = []
    with listener:
        for cut in cuts:
            client = subprocess.Popen(
                [place.client, "--socket", path, *CONN, "-o", "json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=place.environment,
            )
            try:
                accepted = listener.accept()[0]
                with accepted:
                    accepted.sendall(data[:cut])
                    accepted.shutdown(fake.socket.SHUT_WR)
                    out, err = client.communicate(timeout=DEADLINE_S)
            finally:
                client.kill()
            results.append((cut, client.returncode, out, err))
    return results


@pytest.mark.parametrize("name", ["older.collector", "newer.collector"])
def test_cut_anywhere(place, name):
    """Exit 4 after each byte, with all the lines of whole events before it."""
    data = transcript(name)
    lines = iter(EXPECTED[name, "json"])
    until, printed = [], []  # ends of the frames, and what is out then
    for body in bodies(data):
        reply = pb.Reply.FromString(body)
        is_line = reply.HasField("event") and says_what(reply.event)
        until.append((until[-1] if until else 0) + len(wire.frame(body)))
        printed.append((printed[-1] if printed else "") + (next(lines) + "\n" if is_line else ""))
    with ThreadPoolExecutor(2) as pool:
        cuts = [range(start, len(data) + 1, 2) for start in (0, 1)]
        for results in pool.map(lambda some: cut_short(place, name, some), cuts):
            for cut, code, out, err in results:
                whole = sum(end <= cut for end in until)
                expected = printed[whole - 1] if whole else ""
                assert (code, out.decode()) == (4, expected), (cut, err)


# ----------------------------------------------------------- the real collector


def answers(collector, data):
    """What the collector replies to a client's side, until it closes."""
    replies = []
    with wire.Connection(collector.socket, greet=False) as connection:
        connection.socket.sendall(data)
        try:
            while True:
                replies.append(connection.reply())
        except (wire.Closed, ConnectionResetError):
            return replies


REFUSED = {
    "newer-request.client": (pb.Error.INVALID, "request"),
    "newer-category.client": (pb.Error.INVALID, "tomorrow"),
    "newer-subscribe.client": (pb.Error.INVALID, "subscribe: field 200"),
    "newer-filter.client": (pb.Error.INVALID, "filter: field 202"),
    "newer-role.client": (pb.Error.INVALID, "role: 60"),
    "newer-list.client": (pb.Error.INVALID, "list: field 3000"),
    "other-major.client": (pb.Error.VERSION, "version 2 of the protocol: this collector speaks "
                                             "version 1."),
}  # fmt: skip


def test_refused_clients(serving):
    for name, (code, sentence) in REFUSED.items():
        *before, last = answers(serving, transcript(name))
        assert last.error.code == code and sentence in last.error.message, (name, last)
        kinds = [reply.WhichOneof("reply") for reply in before]
        assert kinds == ([] if name == "other-major.client" else ["hello"]), name


def test_served_clients(serving):
    for name in "older.client", "newer.client":
        replies = answers(serving, transcript(name))
        kinds = {reply.WhichOneof("reply") for reply in replies}
        assert replies[0].hello.major == 1 and "conn" in replies[0].hello.category, name
        assert replies[-1].bye.reason == pb.Bye.DONE and "error" not in kinds, (name, kinds)
    hello, status, bye = answers(serving, transcript("newer-status.client"))
    assert status.status.version and bye.bye.reason == pb.Bye.DONE


def test_clients_cut_anywhere(serving):
    for name in "newer.client", "newer-filter.client":
        data = transcript(name)
        for cut in range(len(data)):
            with wire.Connection(serving.socket, greet=False) as connection:
                connection.socket.sendall(data[:cut])


def test_group_is_no_request(serving):
    for body in GROUP, wire.nested(2, wire.nested(2, GROUP)):
        last = answers(serving, wire.frame(wire.hello()) + wire.frame(body))[-1]
        assert last.error.code == pb.Error.FRAME, last
