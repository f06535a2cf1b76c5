# SPDX-License-Identifier: GPL-2.0-only
"""What the collector remembers with --history, and who is told what of it: the same events as
live, byte for byte, once each, and nothing that the viewer could not have seen."""

import grp
import json
import time
from pathlib import Path

import pytest

import netwatch_pb2 as pb
import wire
from harness import ALICE, BOB, CAROL, SANITIZED, SERVICE_USER, scaled, wait_until
from history import ALL, remembered, without_losses
from history import collector, past, served, shared  # noqa: F401, fixtures
from test_containers import CHOICES, cgroups, containers, start  # fixtures
from test_filters import OPTIONS, two_servers
from test_http import SECRET, Talk, get, head, ok

assert cgroups and containers and start and two_servers

QUIET = "conn,retransmit,error,congestion,http"


def later_than(lines, moment):
    """Those of these lines that happened after it; of others the collector has told before."""
    return [line for line in lines if json.loads(line)["time"] > moment]


def now():
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09}Z"


def live(subscribe, choices, uid=0, **more):
    """{name: a subscriber with these options}"""
    return {name: subscribe("-a", "--no-existing", *map(str, options), uid=uid, **more)
            for name, options in choices.items()}


def check_same(watches, choices, past, moment, **more):
    """Of each: what came live is what the history tells."""
    count = 0
    for name, watch in watches.items():
        assert watch.stop() == 0, watch
        told = later_than(past("-a", *map(str, choices[name]), **more), moment)
        assert told == later_than(watch.out.lines, moment), name
        count += len(told)
    return count


# ------------------------------------------------------------ equal to live


def test_filters(two_servers, subscribe, past):
    """Every option, of root and of the user whose sockets they are."""
    client, (v4, v6), server = two_servers
    place = {"p": v4, "q": v6, "client": client.pid, "server": server.pid}
    choices = {name: [word.format(**place) for word in words]
               for name, (words, _) in OPTIONS.items()}
    watches = live(subscribe, choices)
    control = subscribe("-a", "--no-existing", "--port", f"{v4},{v6}", uid=ALICE)
    moment = now()
    for address, port in ("127.0.0.1", v4), ("::1", v6):
        client.connects(count=3, address=address, port=port)
    control.wait_events(30)
    own = {"own": ["--port", f"{v4},{v6}"]}
    assert check_same({"own": control}, own, past, moment, uid=ALICE) == 30
    assert check_same(watches, choices, past, moment) > 200
    assert past("-a", *own["own"], uid=BOB) == []


def test_cgroups(containers, cgroups, subscribe, past):
    """Also when the cgroup is gone: what was above it is known."""
    place = dict(cgroups, over=cgroups[""], below=cgroups["a/below"],
                 relative=cgroups["a"].path.lstrip("/"), netns={})
    ports = ",".join(str(port) for _, _, port in containers.values())
    for name, (client, _, _) in containers.items():
        place["netns"][name] = Path(f"/proc/{client.pid}/ns/net").stat().st_ino
    choices = {name: ["--dport", ports, *(word.format(**place) for word in words)]
               for name, (words, _) in CHOICES.items()}
    watches = live(subscribe, choices)
    moment = now()
    for client, _, port in containers.values():
        client.connects(count=2, address="127.0.0.1", port=port)
    watches["all"].wait_events(18)
    assert check_same(watches, choices, past, moment) > 60
    client, server, _ = containers["a/below"]
    client.end()
    server.end()
    cgroups.pop("a/below").remove()
    assert len(later_than(past("-a", *choices["with descendants"]), moment)) == 12
    assert len(later_than(past("-a", *choices["not"]), moment)) == 6


@pytest.fixture
def talk(actor):
    return Talk(actor)


def say_things(talk):
    talk.open()  # of older ones the role is not known
    talk.ask(get("/a?q=own", Authorization=SECRET, Cookie=SECRET))
    talk.answer(ok("hello", Content_Type="text/plain", Set_Cookie=SECRET))
    talk.ask(get("/b/c?q=own"))
    talk.answer(head("HTTP/1.1 503 Busy", Content_Length=0))
    talk.close()


HTTP_CHOICES = {
    "all": [],
    "path": ["--http-path", "/b/*"],
    "not path": ["--not", "--http-path", "/b/*"],
    "status": ["--http-status", "500-599"],
    "host": ["--http-host", "H.TEST"],
    "method": ["--not", "--http-method", "GET"],
    "latency": ["--min-latency", "1h"],
}


def test_categories_and_redaction(talk, netwatch, past):
    """All quiet categories, of both ends' users, of strangers, of groups and of root: each gets
    what it got live."""
    gid = grp.getgrnam(SERVICE_USER).gr_gid
    viewers = {
        "client": {"uid": ALICE}, "server": {"uid": BOB}, "stranger": {"uid": CAROL},
        "operator": {"uid": CAROL, "groups": [gid]}, "root": {"uid": 0},
    }
    choice = "--port", talk.port
    watches = {}
    for name, viewer in viewers.items():
        for which, options in HTTP_CHOICES.items() if name in ("client", "root") else [("all", [])]:
            watches[name, which] = netwatch(
                "subscribe", "--events", QUIET, "-a", "--no-existing", "-v", "-o", "json", *choice,
                *options, **viewer).wait_subscribed()
    moment = now()
    say_things(talk)
    talk.client.reset(fd=talk.client.connect(address=talk.address, port=talk.port)["fd"])
    # 2 connections and 2 exchanges at each end, and of errors a reset at each.
    watches["root", "all"].wait_events(8)
    wait_until(lambda: len([line for line in list(watches["root", "all"].out.lines)
                            if b'"CLOSE"' in line]) >= 3, "all have closed")
    counts = {}
    for (name, which), watch in watches.items():
        assert watch.stop() == 0, watch
        told = past("-a", *choice, *HTTP_CHOICES[which], events=QUIET, **viewers[name])
        assert later_than(told, moment) == later_than(watch.out.lines, moment), (name, which)
        text = b"".join(told)
        assert SECRET.encode() not in text
        assert (b"q=REDACTED" in text) == (name == "root" and which != "latency"
                                           and b'"http"' in text), (name, which)
        assert b"q=own" not in text or name in ("client", "server")
        counts[name, which] = sum(b'"http"' in line for line in told)
    assert counts["client", "all"] == counts["server", "all"] == 4
    assert counts["stranger", "all"] == counts["operator", "all"] == 0
    assert counts["root", "all"] == 8 and counts["root", "path"] == 4
    assert counts["client", "path"] == 2 and counts["client", "status"] == 1


def writable_memory(pid):
    """Its own memory, without what it shares with the kernel."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            span, rights, _, _, inode, *name = line.split()
            if not rights.startswith("rw") or int(inode) or (name and "bpf" in name[0]):
                continue
            first, last = (int(end, 16) for end in span.split("-"))
            memory.seek(first)
            yield memory.read(last - first)


@pytest.mark.skipif(SANITIZED, reason="NOT TRIED: sanitizers make the memory terabytes large")
def test_nothing_secret_is_kept(collector, talk, past):
    """Of a request the target is remembered, and nothing that is shown to nobody."""
    say_things(talk)
    wait_until(lambda: len(past("--port", talk.port, events="http")) >= 8, "it is remembered")
    found = set()
    for memory in writable_memory(collector.pid):
        found |= {text for text in (SECRET.encode(), b"/b/c?q=own") if text in memory}
    assert found == {b"/b/c?q=own"}


def test_scope_is_of_the_kernel(past, netwatch, actor):
    """--uid beyond one's scope is refused, of the past as well."""
    server = actor(uid=ALICE)
    port = server.server()
    actor(uid=ALICE).connects(count=2, address="127.0.0.1", port=port)
    wait_until(lambda: len(past("-a", "--port", port, uid=ALICE)) >= 11, "it is remembered")
    for options in ["--last", 5, "--no-follow"], ["--since", "1h"]:
        refused = netwatch("subscribe", "--uid", ALICE, *options, uid=BOB)
        assert refused.wait() == 77 and not refused.out.lines, refused
    gid = grp.getgrnam(SERVICE_USER).gr_gid
    assert past("-a", "--port", port, uid=BOB) == []
    assert len(past("-a", "--port", port, uid=BOB, groups=[gid])) >= 11


# ----------------------------------------------------------- which part of it


def test_last(collector, served, netwatch, past):
    port, client = served
    client.connects(count=30, address="127.0.0.1", port=port)
    lines = wait_until(lambda: (found := past("-a", "--dport", port))[89:] and found, "all")
    assert len(lines) == 90
    for count in 1, 7, 89, 90, 91:
        assert past("-a", "--dport", port, "--last", count) == lines[-count:]
    ends = past("-a", "--dport", port, "--last", 10, "-c", 3)
    assert ends == lines[-10:-7]
    # Those without -a are fewer, and the last of them are older.
    assert past("--dport", port, "--last", 4) == [
        line for line in lines if b'"CLOSE"' not in line][-4:]
    # Of what is asked for besides, nothing is remembered.
    client = netwatch("subscribe", "--events", "packet", "--last", 5, "--no-follow")
    assert client.wait() == 0 and "packet" in client.err.text()
    assert len(client.out.lines) == 1


def test_since(collector, served):
    """What is as old as that may be there or not; what is newer is, what is older is not."""
    port, client = served
    client.connects(count=5, address="127.0.0.1", port=port)
    time.sleep(0.2)
    middle = time.time_ns()
    time.sleep(0.2)
    client.connects(count=5, address="127.0.0.1", port=port)
    wait_until(lambda: len(remembered(collector.socket, last=ALL, rport=wire.ports(port))) == 30,
               "all is remembered")
    since_ms = (time.time_ns() - middle) // 10**6
    events = remembered(collector.socket, since_ms=since_ms, rport=wire.ports(port))
    late = (time.time_ns() - middle) // 10**6 - since_ms
    assert all(event.time.ToNanoseconds() >= middle for event in events)
    assert len(events) == 15 or late >= 200
    for since_ms in 2**63, 2**64 - 1, 10**9:
        assert len(remembered(collector.socket, since_ms=since_ms, rport=wire.ports(port))) == 30
    both = remembered(collector.socket, since_ms=10**9, last=3, rport=wire.ports(port))
    assert len(both) == 3 and both[-1].conn.event == pb.Conn.CLOSE


def test_account(served, netwatch, past):
    """What the history brings is not in the account; what follows is."""
    port, client = served
    client.connects(count=3, address="127.0.0.1", port=port)
    wait_until(lambda: len(past("-a", "--dport", port)) == 9, "it is remembered")
    once = netwatch("subscribe", "--events", "conn", "--last", 5, "--dport", port, "--no-follow",
                    "--stats", "-o", "json")
    assert once.wait() == 0 and sum(b'"conn"' in line for line in once.out.lines) == 5
    assert not any(once.totals().values()), once.totals()
    watch = netwatch("subscribe", "--events", "conn", "-a", "--last", 5, "--dport", port,
                     "--stats", "-v", "-o", "json").wait_subscribed()
    client.connects(count=1, address="127.0.0.1", port=port)
    wait_until(lambda: sum(b'"conn"' in line for line in list(watch.out.lines)) == 8, "8 events")
    assert watch.stop() == 0
    assert watch.totals()["matched"] == watch.totals()["delivered"] == 3


def test_instead_of_existing(served, netwatch, past):
    """With history the connections that exist are left out by the client; on the wire who asks
    for both has them between the two."""
    port, client = served
    client.connect(address="127.0.0.1", port=port)
    wait_until(lambda: len(past("-a", "--dport", port)) == 2, "it is remembered")
    watch = netwatch("subscribe", "--events", "conn", "--last", 5, "--dport", port, "-v", "-o",
                     "json").wait_subscribed()
    assert [event["conn"]["event"] for event in watch.stopped_events() if "conn" in event] == [
        "OPEN", "ESTABLISHED"]


def test_existing_on_the_wire(collector, served, past):
    port, client = served
    client.connect(address="127.0.0.1", port=port)
    wait_until(lambda: len(past("-a", "--dport", port)) == 2, "it is remembered")
    with wire.Connection(collector.socket) as watch:
        watch.send(pb.Request(subscribe=pb.Subscribe(
            category=["conn"], existing=True, last=9, filter=pb.Filter(rport=wire.ports(port)))))
        events, _ = watch.until("subscribed")
        assert [event.conn.event for event in without_losses(events)] == [
            pb.Conn.OPEN, pb.Conn.ESTABLISHED, pb.Conn.EXISTING]


def test_refusals(collector):
    def refused(**subscribe):
        with wire.Connection(collector.socket) as watch:
            watch.send(pb.Request(subscribe=pb.Subscribe(category=["conn"], **subscribe)))
            error = watch.expect("error")
            assert error.code == pb.Error.INVALID, error
            watch.expect_closed()
            return error.message

    assert "last" in refused(last=0) and "since_ms" in refused(since_ms=0)
    assert "no_follow" in refused(no_follow=True)
    assert "no_follow" in refused(no_follow=True, last=1, existing=True)


# ------------------------------------------------------------------- the seam


def test_seam(collector, served):
    """While connections come and go: history and what follows are together exactly what one sees
    who was there from the beginning. Each time with a filter of its own, and joining one that
    is in use."""
    port, client = served
    with wire.Connection(collector.socket) as control:
        control.subscribe(rport=wire.ports(port))
        streams = []
        rounds = scaled(12)
        for number in range(rounds):
            client.tell("connects", count=60, address="127.0.0.1", port=port)
            ports = [port] if number % 2 else [port, 1 + number]
            watch = wire.Connection(collector.socket)
            watch.send(pb.Request(subscribe=pb.Subscribe(
                category=["conn"], closed=True, last=ALL,
                filter=pb.Filter(rport=wire.ports(*ports)))))
            past_events, _ = watch.until("subscribed")
            client.answer()
            streams.append((watch, past_events))
        whole = control.events(180 * rounds)
        assert control.unsubscribe()[1].matched == len(whole)
    seams = []
    for watch, before in streams:
        with watch:
            after, totals = watch.unsubscribe()
        before = without_losses(before)
        assert before + after == whole
        assert totals.matched == totals.delivered == len(after)
        seams.append(len(before))
    print(f"live after {seams} of {len(whole)} events")
    assert len(set(seams)) > rounds // 2


def test_unsubscribe_ends_it(collector, served):
    """In the middle: what is left of the history does not come, and the account does."""
    port, client = served
    client.connects(count=1500, address="127.0.0.1", port=port)
    with wire.Connection(collector.socket) as watch:
        watch.send(pb.Request(subscribe=pb.Subscribe(
            category=["conn"], closed=True, last=ALL, filter=pb.Filter(rport=wire.ports(port)))))
        watch.expect("event")
        watch.send(pb.Request(unsubscribe=pb.Unsubscribe()))
        while watch.reply().WhichOneof("reply") != "bye":
            pass
        watch.expect_closed()


# ------------------------------------------------------------------ list --all


def test_list_all(served, subscribe, netwatch):
    """The totals of what closed are those that were told live; then comes what exists."""
    port, client = served
    watch = subscribe("-a", "--no-existing", "--port", port, uid=ALICE)
    client.connects(count=10, address="127.0.0.1", port=port, payload=1000)
    client.connect(address="127.0.0.1", port=port)
    wait_until(lambda: sum(b'"CLOSE"' in line for line in list(watch.out.lines)) == 20, "closed")
    assert watch.stop() == 0
    closed = [line for line in watch.out.lines if b'"CLOSE"' in line]
    for options in [], ["-x"]:
        listed = netwatch("list", "--all", "--port", port, "-o", "json", *options, uid=ALICE)
        assert listed.wait() == 0, listed
        events = [line for line in listed.out.lines if not line.startswith(b'{"lost"')]
        assert events[:20] == closed
        rest = [json.loads(line) for line in events[20:]]
        assert {event["conn"]["event"] for event in rest} == {"EXISTING"} and len(rest) >= 2
        assert all(("tcpinfo" in event) == bool(options) for event in rest)
    for options, count in (["--role", "client"], 10), (["--comm", "nobody's"], 0):
        listed = netwatch("list", "-a", "--port", port, "-o", "json", *options, uid=ALICE)
        assert listed.wait() == 0
        assert sum(b'"CLOSE"' in line for line in listed.out.lines) == count
    stranger = netwatch("list", "-a", "--port", port, "-o", "json", uid=BOB)
    assert stranger.wait() == 0 and not any(b'"conn"' in line for line in stranger.out.lines)
