# SPDX-License-Identifier: GPL-2.0-only
"""The category retransmit: each retransmission with its cause, over a link that loses what the
test says, held against the counters that the kernel keeps for each network namespace."""

from collections import Counter

import pytest

import harness
import wire
from harness import ALICE, BOB, wait_until
from veth import HEADERS, ONCE, SYN, SYN_ACK
from veth import collector, family, link, pair, pair_of, stopped, trace  # noqa: F401, fixtures

BULK = 3_000_000
RETRANSMIT = "subscribe", "--events", "retransmit", "-v", "--stats", "-o", "json"
BY_TIMEOUT = {"TIMEOUT", "SLOW_START", "SYN"}


@pytest.fixture
def watch(netwatch, link):
    return netwatch(*RETRANSMIT, *link.netns(), uid=ALICE).wait_subscribed()


def segments(events):
    return sum(event["retransmit"].get("segments", 1) for event in events)


def of(events, *causes):
    return [event for event in events if event["retransmit"]["cause"] in causes]


def check_side(events, side):
    """The events of a network namespace against what its kernel counted there."""
    kernel = side.counters()
    assert segments(of(events, "FAST")) == kernel["TCPFastRetrans"]
    assert segments(of(events, "SLOW_START")) == kernel["TCPSlowStartRetrans"]
    assert len(of(events, "SYN", "SYN_ACK")) == kernel["TCPSynRetrans"]
    assert segments(events) == kernel["RetransSegs"] - kernel["TCPRetransFail"]
    # A probe may be a segment that was not sent before.
    assert len(of(events, "TAIL_LOSS_PROBE")) <= kernel["TCPLossProbes"]
    # Each expiry of a timer that was not in vain.
    assert len(of(events, "TIMEOUT", "SYN", "SYN_ACK")) == kernel["TCPTimeouts"]
    return kernel


def check_counts(events):
    """Each event has the sums of its connection so far, itself included."""
    sums = {}
    for event in events:
        told = event["retransmit"]
        if "total_retransmits" not in told:
            assert told["cause"] == "SYN_ACK", event
            continue
        mine = sums.setdefault(event["connection"]["id"], Counter())
        mine["total"] += segments([event])
        mine["fast"] += segments(of([event], "FAST"))
        mine["timeout"] += segments(of([event], *BY_TIMEOUT))
        for name, count in mine.items():
            assert told[f"{name}_retransmits"] == count, event
    return sums


def check_sender(events, pair):
    for event in events:
        connection = event["connection"]
        for name in "laddr", "lport", "raddr", "rport", "pid", "uid", "netns":
            assert connection[name] == pair.told[name], event
        assert int(connection["id"]) == pair.told["id"]
        assert connection["comm"] == "the-client" and connection["role"] == "CLIENT"


def finish(stopped, watch, link):
    """All events by side, when nothing more can be sent again; each side's are checked."""
    before = [side.counters()["RetransSegs"] for side in link.sides]
    events = stopped(watch)
    assert before == [side.counters()["RetransSegs"] for side in link.sides]
    totals = watch.totals()
    assert totals["matched"] == totals["delivered"] == len(events), totals
    sides = {side.inode(): [] for side in link.sides}
    for event in events:
        sides[event["connection"]["netns"]].append(event)
    told = list(sides.values())
    for mine, side in zip(told, link.sides):
        check_side(mine, side)
    return told


def causes(events):
    return [event["retransmit"]["cause"] for event in events]


def wait_for(watch, cause, count=1):
    wait_until(
        lambda: len(of(watch.events(), cause)) >= count or watch.process.poll() is not None,
        f"{count} times {cause}",
    )


@pytest.mark.kernels
@pytest.mark.parametrize("offload", [True, False], ids=["gso", "one segment each"])
@pytest.mark.parametrize(
    "loss, most, enough",
    [
        ("meta length > 200 numgen inc mod 20 == 7 drop", "FAST", BULK),
        (f"meta length > 200 {ONCE} drop\nnumgen random mod 100 < 30 drop", None, BULK // 20),
    ],
    ids=["5%", "30%"],
)
def test_loss(link, pair, watch, offload, loss, most, enough, stopped):
    link.short_timeouts()
    if not offload:
        link.one_segment_each()
    pair.connect()
    link.server.rules(loss)
    pair.transfer(enough)
    link.server.rules()
    shown, = link.client.sockets()
    events, others = finish(stopped, watch, link)
    assert others == []
    check_sender(events, pair)
    sums = check_counts(events)[str(pair.told["id"])]
    # Those of ss: retrans:now/total
    assert any(word.startswith("retrans:") and word.endswith(f"/{sums['total']}") for word in shown)
    assert all(event["retransmit"]["state"] == "ESTABLISHED" for event in events)
    if most:
        assert set(causes(events)) >= {most}
    lengths = [(event["retransmit"]["length"], segments([event])) for event in events]
    # Segments are full, but for the last one.
    assert all(1448 * (count - 1) < length <= 1460 * count for length, count in lengths), lengths
    # Of buffers of several segments, several are lost and sent again at once.
    assert offload or {count for _, count in lengths} == {1}
    assert not (offload and most) or max(count for _, count in lengths) > 1


def test_others_come_and_go(link, pair, watch, start_collector, stopped):
    """Of a hook on which other programs are put and taken away, nothing is missed."""
    other = start_collector()
    link.short_timeouts()
    pair.connect()
    link.server.rules(f"meta length > 200 {ONCE} drop\nnumgen random mod 100 < 30 drop")
    pair.server.tell("receive", fd=pair.accepted["fd"], count=BULK // 10)
    pair.client.send(fd=pair.told["fd"], count=BULK // 10)
    while link.client.sockets()[0][1] != "0":  # not all is acknowledged
        with wire.Connection(other.socket) as passing:
            passing.subscribe(category=["retransmit"], lport=wire.ports(1))
            passing.unsubscribe()
    pair.server.answer()
    link.server.rules()
    events, others = finish(stopped, watch, link)
    assert events and others == []
    check_counts(events)


@pytest.mark.kernels
def test_tail_loss(link, pair_of, family, watch, stopped):
    """The last segment is lost: a probe, and nothing else. Its numbers are those of the segment."""
    pair, length = pair_of, 777 - HEADERS[family]
    pair.connect()
    pair.transfer(1000)
    link.server.rules(f"meta length 777 {ONCE} drop")
    pair.transfer(1000, length)
    events, others = finish(stopped, watch, link)
    assert causes(events) == ["TAIL_LOSS_PROBE"] and others == []
    check_sender(events, pair)
    check_counts(events)
    told = events[0]["retransmit"]
    assert told["length"] == length and "segments" not in told
    assert link.client.counters()["TCPLossProbes"] == 1


@pytest.mark.kernels
def test_blackout(link, pair, watch, stopped):
    """Nothing comes through until the timer has expired three times, each after twice the time."""
    link.short_timeouts()
    pair.connect()
    pair.transfer(100_000)
    probes = link.client.counters()["TCPLossProbes"]  # on a slow machine
    link.server.rules("drop")
    pair.client.send(fd=pair.told["fd"], count=5000)
    wait_for(watch, "TIMEOUT", 3)
    link.server.rules()
    pair.server.receive(fd=pair.accepted["fd"], count=5000)
    link.client.wait_acknowledged()
    events, others = finish(stopped, watch, link)
    assert others == []
    check_sender(events, pair)
    check_counts(events)
    assert causes(events)[0] == "TAIL_LOSS_PROBE"
    expired = of(events, "TIMEOUT")
    assert len(expired) >= 3
    # All of the same first byte that is not acknowledged.
    assert len({event["retransmit"]["seq"] for event in expired}) == 1
    times = [wire_seconds(event["time"]) for event in expired[:3]]
    assert 1.5 < (times[2] - times[1]) / (times[1] - times[0]) < 2.5
    # What else was outstanding comes by slow start, since nothing had arrived.
    assert "SLOW_START" in causes(events)
    assert link.client.counters()["TCPLossProbes"] > probes


def wire_seconds(stamp):
    minutes, seconds = stamp.rstrip("Z").split(":")[1:]
    return 60 * int(minutes) + float(seconds)


@pytest.mark.kernels
def test_syn_lost(link, pair, watch, stopped):
    link.server.rules(f"{SYN} {ONCE} drop")
    pair.connect()
    events, others = finish(stopped, watch, link)
    assert causes(events) == ["SYN"] and others == []
    check_sender(events, pair)
    check_counts(events)
    told = events[0]["retransmit"]
    assert (told["state"], told["length"]) == ("SYN_SENT", 0)
    assert link.client.counters()["TCPTimeouts"] == 1


@pytest.mark.kernels
def test_syn_ack_lost(link, pair, netwatch, watch, stopped):
    """The first SYN-ACK is lost, and each further SYN. So the server's timer alone brings it about.
    There is no socket yet: it is the listener's, with the connection's own ends."""
    link.server.rules(f"{SYN} numgen inc mod 1000000 > 0 drop")
    link.client.rules(f"{SYN_ACK} {ONCE} drop")
    by_ends = netwatch(*RETRANSMIT, "--raddr", link.client.address, "--sport", pair.port,
                       "--role", "server", *link.netns(), uid=ALICE).wait_subscribed()
    other_ends = netwatch(*RETRANSMIT, "--raddr", link.server.address, "--role", "server",
                          *link.netns(), uid=ALICE).wait_subscribed()
    stranger = netwatch(*RETRANSMIT, *link.netns(), uid=BOB).wait_subscribed()
    pair.connect()
    # The child begins with the SYN-ACKs in its total; then it loses the last segment of all.
    link.server.rules()
    link.client.rules(f"meta length 777 {ONCE} drop")
    pair.client.tell("receive", fd=pair.told["fd"], count=1000 + 777 - 52)
    for count in 1000, 777 - 52:
        pair.server.send(fd=pair.accepted["fd"], count=count)
    pair.client.answer()
    link.server.wait_acknowledged()
    ours, events = finish(stopped, watch, link)
    assert set(causes(ours)) <= {"SYN"}
    assert causes(events) == ["SYN_ACK", "TAIL_LOSS_PROBE"]
    request, probe = events
    listener = request["connection"]
    for event in events:
        connection = event["connection"]
        assert (connection["laddr"], connection["lport"]) == (link.server.address, pair.port)
        assert (connection["raddr"], connection["rport"]) == (
            link.client.address, pair.told["lport"]
        )
        assert (connection["role"], connection["uid"]) == ("SERVER", ALICE)
    assert listener["pid"] == pair.server.pid
    assert int(listener["id"]) != pair.accepted["id"]
    assert request["retransmit"] == request["retransmit"] | {"state": "NEW_SYN_RECV", "length": 0}
    assert int(probe["connection"]["id"]) == pair.accepted["id"]
    told = probe["retransmit"]
    assert (told["total_retransmits"], told["fast_retransmits"], told["timeout_retransmits"]) == (
        2, 0, 0
    )
    assert by_ends.stopped_events() == events
    assert other_ends.stopped_events() == [] and stranger.stopped_events() == []


def test_not_sent(link, pair, watch, stopped):
    """Retransmissions that do not leave this host are none. The kernel counts them apart."""
    link.short_timeouts()
    pair.connect()
    pair.transfer(1000)
    link.server.rules("drop")
    pair.client.send(fd=pair.told["fd"], count=1000)
    wait_for(watch, "TIMEOUT")
    link.client.rules("drop", hook="output")
    wait_until(lambda: link.client.counters()["TCPRetransFail"] >= 2, "two fail")
    link.client.rules()
    link.server.rules()
    pair.server.receive(fd=pair.accepted["fd"], count=1000)
    link.client.wait_acknowledged()
    events = stopped(watch)
    kernel = link.client.counters()
    assert segments(events) == kernel["RetransSegs"] - kernel["TCPRetransFail"]
    # What failed has no cause that anybody saw: afterwards the sums by cause are not known.
    known = ["fast_retransmits" in event["retransmit"] for event in events]
    assert known == ["timeout_retransmits" in event["retransmit"] for event in events]
    assert known[0] and not known[-1] and known == sorted(known, reverse=True)
    assert events[-1]["retransmit"]["total_retransmits"] == kernel["RetransSegs"]


def test_began_before(link, pair, netwatch, stopped):
    """What was sent again before anybody watched is in the total, and in no sum by cause."""
    link.server.rules(f"{SYN} {ONCE} drop")
    pair.connect()
    watch = netwatch(*RETRANSMIT, *link.netns(), uid=ALICE).wait_subscribed()
    pair.transfer(1000)
    link.server.rules(f"meta length 777 {ONCE} drop")
    pair.transfer(1000, 777 - 52)
    events = stopped(watch)
    assert causes(events) == ["TAIL_LOSS_PROBE"]
    told = events[0]["retransmit"]
    assert told["total_retransmits"] == 2
    assert "fast_retransmits" not in told and "timeout_retransmits" not in told
    assert events[0]["connection"]["pid"] == pair.client.pid


@pytest.mark.kernels
def test_attached_while_wanted(collector, netwatch):
    """Its programs, with their twins, only while somebody wants its events."""
    wait_until(lambda: not collector.links(), "nobody else is there")
    conn = netwatch(*harness.CONN, "-v", "-d", 1).wait_subscribed()
    without = len(collector.links())
    watch = netwatch(*RETRANSMIT, "-d", 1).wait_subscribed()
    assert len(collector.links()) == without + 4
    watch.stop()
    wait_until(lambda: len(collector.links()) == without, "they are gone")
    conn.stop()
    hooks = {entry.name: list(entry.hook) for entry in wire.status(collector.socket).category}
    assert hooks["retransmit"] == ["tp_btf/tcp_retransmit_skb", "tp_btf/tcp_retransmit_synack"]
