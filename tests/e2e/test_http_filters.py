# SPDX-License-Identifier: GPL-2.0-only
"""Filters for HTTP: what each keeps of a conversation, and which are refused."""

import time

import pytest

import wire
from harness import ALICE, wait_until
from talk import HTTP, finish, head, talk, watch


# options -> what they keep of CONVERSATION
CONVERSATION = [
    ("GET", "/a", "one.test", 200), ("POST", "/a/b?x=/c", "Two.test:80", 404),
    ("GET", "/c/d", "one.test", 503),
]
ALL = {(method, target, status) for method, target, _, code in CONVERSATION for status in (0, code)}
A, B, C = [{row for row in ALL if row[1] == entry[1]} for entry in CONVERSATION]
RESPONSES = {row for row in ALL if row[2]}
FILTERS = {
    "--http-method GET": A | C,
    "--http-method get,HEAD": A | C,
    "--not --http-method GET": B,
    "--http-host two.TEST": B,
    "--not --http-host two.test": A | C,
    "--http-host TWO.test:80": B,  # as the event shows it
    "--http-host two.test:8": set(),
    "--not --http-host two.test:80": A | C,
    "--http-path /a*": A | B,
    "--http-path /?": A,
    "--http-path /[ab]/*": B,
    "--http-path */c": set(),
    "--not --http-path /a --not --http-path /c*": B,
    "--http-status 404": B & RESPONSES,
    "--http-status 200,500-599": (A | C) & RESPONSES,
    "--not --http-status 400-499": (A | C) & RESPONSES,
    "--min-latency 1m": set(),
    "--min-latency 1ms --not --min-latency 1h": RESPONSES,
    "--http-method GET --http-status 500-599": C & RESPONSES,
}


@pytest.mark.parametrize("half", [0, 1])
def test_filters(talk, watch, half):
    """What they drop is counted. (A user may have so many filters at once and no more.)"""
    ends = {options: watch(talk.port, *options.split()) for options in list(FILTERS)[half::2]}
    plain = watch(talk.port)
    for number, (method, target, host, status) in enumerate(CONVERSATION):
        talk.ask(head(f"{method} {target} HTTP/1.1", Host=host))
        wait_until(lambda: len(plain.out.lines) == 2 * number + 1, "the request is told")
        time.sleep(0.002)  # for --min-latency 1ms
        talk.answer(head(f"HTTP/1.1 {status} Why", Content_Length=0))
    talk.close()
    plain.wait_events(len(ALL))
    for options in ends:
        kept = FILTERS[options]
        ends[options].wait_events(len(kept))
        events = finish(ends[options])
        found = {
            (event["http"]["method"], event["http"]["target"], event["http"].get("status", 0))
            for event in events
        }
        assert found == kept, options
        totals = ends[options].totals()
        assert totals["matched"] == 6 and totals["filtered"] == 6 - len(kept), options


@pytest.mark.parametrize("words", [
    "--http-status 99", "--http-status 500-499", "--http-status x", "--min-latency 0",
    "--min-latency x", "--http-path", "--http-path=", "--http-method ,",
    "--http-host " + "h" * 256, "--not --events http",
])
def test_bad_options(netwatch, words):
    client = netwatch(*HTTP, *words.split(" "), uid=ALICE)
    assert client.wait() == 2 and words.split(" ")[0].split("=")[0][2:] in client.err.text()


def test_bad_filters(collector):
    """A client that does not check its user's word is refused by the collector."""
    import netwatch_pb2 as pb

    def refused(code, **http):
        with wire.Connection(collector.socket) as client:
            asked = pb.Filter(http=pb.HttpFilter(**http))
            client.send(pb.Request(subscribe=pb.Subscribe(category=["http"], filter=asked)))
            error = client.expect("error")
            assert error.code == code and "http" in error.message, error

    texts = pb.StringSet
    refused(pb.Error.INVALID, path=texts(any=[""]))
    refused(pb.Error.LIMIT, host=texts(none=["h" * 256]))
    refused(pb.Error.LIMIT, method=texts(any=["G"] * 64, none=["P"]))
    refused(pb.Error.INVALID, status=pb.StatusSet(any=[pb.StatusRange(first=99)]))
    refused(pb.Error.INVALID, status=pb.StatusSet(none=[pb.StatusRange(first=500, last=499)]))
    refused(pb.Error.INVALID, min_latency_us=0)
