# SPDX-License-Identifier: GPL-2.0-only
"""Category http: what was said on a connection of the test's own, byte by byte, and what netwatch
tells of it to either end's user, to strangers and to root."""

import grp
import re

import pytest

from harness import ALICE, BOB, CAROL, SERVICE_USER, scaled, wait_until
from talk import HTTP, SECRET, Talk, finish, get, head, ok, said, short, talk, watch


@pytest.mark.kernels
def test_both_ends(talk, watch, actor):
    """Every field, at the end that each user owns, and nobody else's."""
    ends = {uid: watch(talk.port, uid=uid) for uid in (ALICE, BOB, CAROL)}
    talk.open()  # of older ones the role is not known
    talk.ask(get("/a?q=1", User_Agent="tester/1", Authorization=SECRET, Cookie=SECRET))
    talk.answer(ok("hello", Content_Type="text/plain", Set_Cookie=SECRET))
    talk.close()
    request = {
        "event": "REQUEST", "method": "GET", "target": "/a?q=1", "version": "HTTP/1.1",
        "host": "h.test", "user_agent": "tester/1",
    }
    response = {
        "event": "RESPONSE", "method": "GET", "target": "/a?q=1", "version": "HTTP/1.1",
        "host": "h.test", "content_type": "text/plain", "content_length": 5, "status": 200,
        "reason": "OK",
    }
    for uid, role, end in (ALICE, "CLIENT", talk.told), (BOB, "SERVER", talk.accepted):
        ends[uid].wait_events(2)
        events = finish(ends[uid])
        assert [event["connection"]["role"] for event in events] == [role] * 2
        for event in events:
            for name in "laddr", "lport", "raddr", "rport", "uid", "netns":
                assert event["connection"][name] == end[name], event
            assert int(event["connection"]["id"]) == end["id"]
            assert event["connection"].get("pid", end["pid"]) == end["pid"]
        assert events[0]["http"] == request
        assert 0 < events[1]["http"].pop("latency_us") < 60_000_000
        assert events[1]["http"] == response
    assert finish(ends[CAROL]) == []


# Of the IANA registry, and of caches, UPnP and Icecast.
RARER = """
    ACL BAN BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL LINK LOCK M-SEARCH MERGE MKACTIVITY
    MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE NOTIFY ORDERPATCH PATCH PROPFIND PROPPATCH
    PURGE QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNCHECKOUT UNLINK UNLOCK
    UNSUBSCRIBE UPDATE UPDATEREDIRECTREF VERSION-CONTROL
""".split()

# name -> (what client (>) and server (<) say in turn, the events of either)
TALKS = {
    "keep-alive": (
        [(">", get("/1")), ("<", ok("a")), (">", get("/2")), ("<", ok("bb"))],
        ["REQUEST GET /1", "RESPONSE 200 GET /1", "REQUEST GET /2", "RESPONSE 200 GET /2"],
    ),
    "pipelined": (
        [(">", get("/1") + get("/2") + get("/3")), ("<", ok("a") + ok("HTTP/1.1 500 no") + ok())],
        ["REQUEST GET /1", "REQUEST GET /2", "REQUEST GET /3", "RESPONSE 200 GET /1",
         "RESPONSE 200 GET /2", "RESPONSE 200 GET /3"],
    ),
    "HEAD has no body": (
        [(">", head("HEAD /1 HTTP/1.1", Host="h")), ("<", head("HTTP/1.1 200 OK", Content_Length=9)),
         (">", get("/2")), ("<", ok())],
        ["REQUEST HEAD /1", "RESPONSE 200 HEAD /1", "REQUEST GET /2", "RESPONSE 200 GET /2"],
    ),
    "304 and 204 have none": (
        [(">", get("/1")), ("<", head("HTTP/1.1 304 Not Modified", Content_Length=9)),
         (">", head("DELETE /2 HTTP/1.1", Host="h")), ("<", head("HTTP/1.1 204 No Content")),
         (">", get("/3")), ("<", ok())],
        ["REQUEST GET /1", "RESPONSE 304 GET /1", "REQUEST DELETE /2", "RESPONSE 204 DELETE /2",
         "REQUEST GET /3", "RESPONSE 200 GET /3"],
    ),
    "chunked": (
        [(">", get("/1")),
         ("<", head("HTTP/1.1 200 OK", Transfer_Encoding="chunked")
          + "5\r\nHTTP/\r\n10\r\n1.1 200 OK\r\n\r\nab\r\n0\r\n\r\n"),
         (">", get("/2")), ("<", ok())],
        ["REQUEST GET /1", "RESPONSE 200 GET /1", "REQUEST GET /2", "RESPONSE 200 GET /2"],
    ),
    "a body that looks like a message": (
        [(">", head("POST /1 HTTP/1.1", Host="h", Content_Length=len(get("/no")))),
         (">", get("/no")), ("<", head("HTTP/1.1 200 OK", Content_Length=len(ok()))), ("<", ok()),
         (">", get("/2")), ("<", ok())],
        ["REQUEST POST /1", "RESPONSE 200 POST /1", "REQUEST GET /2", "RESPONSE 200 GET /2"],
    ),
    "answered before the body was sent": (  # whose end and the next request share a segment
        [(">", head("POST /1 HTTP/1.1", Host="h", content_length=20000)), ("<", ok()),
         (">", "x" * 20000 + head("PUT /2 HTTP/1.1", Host="h", Content_Length=20000) + "x" * 20000),
         ("<", ok()), (">", get("/3")), ("<", ok())],
        ["REQUEST POST /1", "RESPONSE 200 POST /1", "REQUEST PUT /2", "RESPONSE 200 PUT /2",
         "REQUEST GET /3", "RESPONSE 200 GET /3"],
    ),
    "the same, and the body looks like requests": (
        [(">", head("POST /1 HTTP/1.1", Host="h", content_length=1000 * len(get("/no")))),
         ("<", ok()), (">", get("/no") * 500),
         (">", get("/no") * 500 + head("PUT /2 HTTP/1.1", Host="h", Content_Length=1) + "x"),
         ("<", ok()), (">", get("/3")), ("<", ok())],
        ["REQUEST POST /1", "RESPONSE 200 POST /1", "REQUEST PUT /2", "RESPONSE 200 PUT /2",
         "REQUEST GET /3", "RESPONSE 200 GET /3"],
    ),
    "the same, with text of both kinds, behind a long head": (
        [(">", head("POST /1 HTTP/1.1", Host="h", Cookie="x" * 3000,
          Content_Length=len(get("/no") + ok()) + 20000)),
         ("<", ok()), (">", get("/no")), (">", ok()),
         (">", "x" * 20000 + head("PUT /2 HTTP/1.1", Host="h", Content_Length=1) + "x"),
         ("<", ok()), (">", get("/3")), ("<", ok())],
        ["REQUEST POST /1", "RESPONSE 200 POST /1", "REQUEST PUT /2", "RESPONSE 200 PUT /2",
         "REQUEST GET /3", "RESPONSE 200 GET /3"],
    ),
    "100-continue": (
        [(">", head("PUT /1 HTTP/1.1", Host="h", Content_Length=3, Expect="100-continue")),
         ("<", head("HTTP/1.1 100 Continue")), (">", "abc"), ("<", head("HTTP/1.1 201 Created",
          Content_Length=0))],
        ["REQUEST PUT /1", "RESPONSE 201 PUT /1"],
    ),
    "HTTP/1.0 without a length": (
        [(">", "GET /1 HTTP/1.0\r\n\r\n"), ("<", "HTTP/1.0 404 Not Found\r\n\r\nsorry")],
        ["REQUEST GET /1", "RESPONSE 404 GET /1"],
    ),
    "after CONNECT nothing is HTTP": (
        [(">", head("CONNECT h.test:443 HTTP/1.1", Host="h.test:443")),
         ("<", head("HTTP/1.1 200 Connection established")), (">", get("/no")), ("<", ok())],
        ["REQUEST CONNECT h.test:443", "RESPONSE 200 CONNECT h.test:443"],
    ),
    "an empty line before a request": (
        [(">", "\r\n" + get("/1")), ("<", ok()), (">", "\r\n" + get("/2")), ("<", ok()),
         (">", head("POST /3 HTTP/1.1", Host="h", Content_Length=1) + "x\r\n"), ("<", ok()),
         (">", get("/4")), ("<", ok())],
        ["REQUEST GET /1", "RESPONSE 200 GET /1", "REQUEST GET /2", "RESPONSE 200 GET /2",
         "REQUEST POST /3", "RESPONSE 200 POST /3", "REQUEST GET /4", "RESPONSE 200 GET /4"],
    ),
    "rarer methods": (
        [said for method in RARER
         for said in ((">", head(f"{method} /1 HTTP/1.1", Host="h")), ("<", ok()))],
        [said for method in RARER
         for said in (f"REQUEST {method} /1", f"RESPONSE 200 {method} /1")],
    ),
    "a bare CR": (
        [(">", "GET /1 HTTP/1.1\r\nHost: a\rb\r\n\r\n"), ("<", ok())],
        ["REQUEST GET /1 BARE_CR", "RESPONSE 200 GET /1"],
    ),
    "userinfo": (
        [(">", head(f"GET http://me:{SECRET}@h.test/1 HTTP/1.1", Host="h.test")), ("<", ok())],
        ["REQUEST GET http://h.test/1", "RESPONSE 200 GET http://h.test/1"],
    ),
    "neither TLS nor anything else": (
        [(">", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2),
         ("<", b"\x16\x03\x03\x00\x7a" + bytes(range(255, -1, -1))), (">", "GETTING\r\n\r\n"),
         ("<", "HTTP is what I do not speak\r\n\r\n"), (">", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
        [],
    ),
}


@pytest.mark.parametrize("name", TALKS)
def test_talk(talk, watch, name):
    said, expected = TALKS[name]
    ends = [watch(talk.port, uid=uid) for uid in (ALICE, BOB)]
    for side, text in said:
        (talk.ask if side == ">" else talk.answer)(text)
    talk.close()
    for end in ends:
        end.wait_events(len(expected))
        assert [short(event) for event in finish(end)] == expected
        assert SECRET.encode() not in b"".join(end.out.lines)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
def test_pieces(talk, watch, piece):
    """Heads that come in several segments, whose end may be anywhere in them."""
    ends = [watch(talk.port, uid=uid) for uid in (ALICE, BOB)]
    expected = []
    for number in range(3):
        talk.ask(get(f"/{number}", User_Agent="piecemeal" * 20), piece=piece)
        talk.answer(ok("x" * number, Content_Type="text/x" * 9), piece=piece)
        expected += [f"REQUEST GET /{number}", f"RESPONSE 200 GET /{number}"]
    talk.close()
    for end in ends:
        end.wait_events(len(expected))
        events = finish(end)
        assert [short(event) for event in events] == expected
        assert events[0]["http"]["user_agent"] == "piecemeal" * 20
        assert events[1]["http"]["content_type"] == "text/x" * 9


@pytest.mark.kernels
def test_split_everywhere(talk, watch):
    """The head of a request in two segments, at each of its bytes."""
    end = watch(talk.port)
    request, expected = get("/x"), []
    for at in range(1, len(request)):
        talk.ask(request[:at])
        talk.ask(request[at:])
        talk.answer(ok())
        expected += ["REQUEST GET /x", "RESPONSE 200 GET /x"]
    talk.close()
    end.wait_events(len(expected))
    assert [short(event) for event in finish(end)] == expected


def test_cookies_in_front(talk, watch):
    """8 KiB of them, one byte per segment: what fits is parsed, what does not is truncated."""
    end = watch(talk.port)
    for size in scaled(8000), 8300:
        talk.ask(get(f"/{size}", Cookie=SECRET * (size // len(SECRET))), piece=1)
        talk.answer(ok())
    talk.close()
    end.wait_events(4)
    events = finish(end)
    assert [event["http"].get("truncated") for event in events] == [None, None, True, None]
    assert [event["http"]["target"] for event in events[2:]] == ["/8300"] * 2
    assert SECRET.encode() not in b"".join(end.out.lines)


HIDDEN = "Authorization", "cOOkie", "Set-Cookie", "Proxy-Authorization", "X-API-key", "X-Other"
FORMS = [
    "{}: Bearer {}", "{}:{}", "{}: a\r\n {}", "{}: a\r\n\t{}", "{} : {}", "{}\t: {}", " {}: {}",
    "{}: a\r{}", "{}: \0{}", "{} {}",
]
TARGETS = [
    "http://u:{}@h/{}", "//u:{}@h/{}", "/to?u=http://u:{}@h/{}", "/{1}?a=1#x", "/{1}#http://u:{0}@h",
]
FORMATS = "json", "csv", "compact", "table", "pb"


def test_secrets(talk, netwatch):
    """None of a header or of userinfo, in any format; none of a query in another uid's."""
    ends = [(form, netwatch("subscribe", "-v", "--events", "http", "-o", form, "--port", talk.port,
                            uid=uid).wait_subscribed()) for form in FORMATS for uid in (ALICE, 0)]
    control = netwatch(*HTTP, "--dport", talk.port, uid=ALICE).wait_subscribed()
    texts = [f"GET /{number} HTTP/1.1\r\n{form.format(name, SECRET)}\r\nHost: h\r\n\r\n"
             for number, (name, form) in enumerate((n, f) for n in HIDDEN for f in FORMS)]
    texts += [f"GET {target.format(SECRET, number)} HTTP/1.1\r\nHost: u:{SECRET}@h\r\n\r\n"
              for number, target in enumerate(TARGETS)]
    for text in texts:
        talk.open()
        talk.ask(text)
        talk.answer(head("HTTP/1.1 400 No", Set_Cookie=SECRET, Content_Length=0))
        talk.close()
    talk.open()
    talk.ask(get("/last"))
    wait_until(lambda: control.events()[-1:] and
               control.events()[-1]["http"].get("target") == "/last", "the last is told")
    assert len(finish(control)) == 2 * len(texts) + 1
    for form, end in ends:
        if form != "pb":  # which has no lines
            wait_until(lambda: b"/last" in b"".join(end.out.lines), "the last is told")
        end.stop()
        assert b"/last" in b"".join(end.out.lines), form
        assert SECRET.encode() not in b"".join(end.out.lines), end


@pytest.mark.kernels
def test_large_bodies(talk, watch):
    """By sendfile, whose pages no program of a socket's kind sees, and what follows them."""
    count = scaled(20 << 20)
    ends = [watch(talk.port, uid=uid) for uid in (ALICE, BOB)]
    expected = []
    for number in range(3):
        talk.ask(get(f"/{number}"))
        talk.answer(head("HTTP/1.1 200 OK", Content_Length=count))
        talk.client.tell("receive", fd=talk.told["fd"], count=count)
        talk.server.send_file(fd=talk.accepted["fd"], count=count)
        talk.client.answer()
        expected += [f"REQUEST GET /{number}", f"RESPONSE 200 GET /{number}"]
    talk.close()
    for end in ends:
        end.wait_events(len(expected))
        events = finish(end)
        assert [short(event) for event in events] == expected
        assert events[1]["http"]["content_length"] == count


@pytest.mark.kernels
@pytest.mark.parametrize("address", ["::1", "127.0.0.1"])
def test_families(actor, watch, address):
    talk = Talk(actor, address=address)
    end = watch(talk.port, "-6" if ":" in address else "-4")
    talk.ask(get("/"))
    talk.answer(ok())
    talk.close()
    end.wait_events(2)
    assert {event["connection"]["raddr"] for event in finish(end)} == {address}


def test_bounds(talk, watch):
    """What is too long is cut, and says so; bytes that are not UTF-8 are escaped."""
    end = watch(talk.port)
    talk.ask(get("/" + "t" * 5000))
    talk.ask(get("/agent", User_Agent="u" * 2000))
    talk.ask(b"GET /caf\xe9 HTTP/1.1\r\nHost: h\xff\r\n\r\n")
    talk.ask(get("/" + "l" * 9000))
    end.wait_events(4)
    events = [event["http"] for event in finish(end)]
    assert events[0]["target"] == "/" + "t" * 4095 and events[0]["truncated"] is True
    assert events[1]["user_agent"] == "u" * 1024 and events[1]["truncated"] is True
    assert "\\xe9" in events[2]["target"], events[2]
    assert events[3]["target"] == "/" + "l" * 4095 and events[3]["truncated"] is True


@pytest.mark.kernels
def test_reset_within_a_head(talk, watch):
    """What was seen is told when the connection is gone."""
    end = watch(talk.port)
    talk.ask("GET /half HTTP/1.1\r\nHost: h")
    talk.client.reset(fd=talk.told["fd"])
    end.wait_events(1)
    assert [short(event) for event in finish(end)] == ["REQUEST GET /half True"]


@pytest.mark.parametrize("who", ["root", "http group"])
def test_redacted(start_collector, talk, netwatch, who):
    """Who may see all sees no values of strangers' queries."""
    collector = start_collector("--http-group", SERVICE_USER)
    uid, groups = (0, ()) if who == "root" else (CAROL, (os_group(SERVICE_USER),))
    end = netwatch(*HTTP, "--port", talk.port, uid=uid, groups=groups, socket=collector.socket)
    end.wait_subscribed()
    own = netwatch(*HTTP, "--port", talk.port, uid=ALICE, socket=collector.socket)
    own.wait_subscribed()
    said(talk)
    end.wait_events(4)
    events = finish(end)
    assert {event["http"]["target"] for event in events} == {
        "/a?user=REDACTED&token=REDACTED#REDACTED"
    }
    assert {event["connection"]["uid"] for event in events} == {ALICE, BOB}
    assert SECRET.encode() not in b"".join(end.out.lines)
    own.wait_events(2)
    assert {event["http"]["target"] for event in finish(own)} == {
        f"/a?user=me&token={SECRET}#part"
    }


def os_group(name):
    return grp.getgrnam(name).gr_gid


def test_scope_all(start_collector, talk, netwatch, actor):
    """Connections of all users, but HTTP of the own uid only; a line on stderr says so."""
    collector = start_collector("--group", SERVICE_USER, "--http-group", "nw-no-such-group")
    mine = Talk(actor, client=CAROL, server=CAROL)
    end = netwatch(*HTTP, "--port", f"{talk.port},{mine.port}", uid=CAROL,
                   groups=(os_group(SERVICE_USER),), socket=collector.socket).wait_subscribed()
    assert b"netwatch-http" in b"".join(end.err.lines)
    said(talk)
    said(mine)
    end.wait_events(4)
    events = finish(end)
    assert len(events) == 4
    assert {event["connection"]["uid"] for event in events} == {CAROL}
    assert {event["http"]["target"] for event in events} == {f"/a?user=me&token={SECRET}#part"}
    assert end.totals()["matched"] == 4


def test_compact_and_table(talk, netwatch):
    """For people."""
    ends = [
        netwatch("subscribe", "-v", "--events", "http", "-o", form, "--dport", talk.port,
                 uid=ALICE).wait_subscribed() for form in ("compact", "table")
    ]
    said(talk)
    for end, extra in zip(ends, (0, 1)):
        wait_until(lambda: len(end.out.lines) >= 2 + extra, "two lines")
        assert end.stop() == 0
        text = end.out.text()
        assert re.search(rf"REQUEST\b.*GET.*/a\?user=me&token={SECRET}", text, re.S), text
        assert re.search(r"RESPONSE\b.*200", text, re.S), text
