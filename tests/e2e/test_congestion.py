# SPDX-License-Identifier: GPL-2.0-only
"""The category congestion: each change of the state of congestion control, over a link that loses
what the test says, held against the kernel's counters and against ss."""

import pytest

import harness
import wire
from harness import ALICE, BOB, wait_until
from veth import ONCE, SYN
from veth import collector, family, link, pair, pair_of, stopped, trace  # noqa: F401, fixtures

BULK = 3_000_000
CONGESTION = "subscribe", "--events", "congestion", "-v", "--stats", "-o", "json"


@pytest.fixture
def watch(netwatch, link):
    return netwatch(*CONGESTION, *link.netns(), uid=ALICE).wait_subscribed()


def of(events, state):
    """Those that lead there."""
    return [event["congestion"] for event in events if event["congestion"]["to"] == state]


def finish(stopped, watch, pair, last=("OPEN",)):
    """All events, which are changes of the sender, each from where the one before led."""
    events = stopped(watch)
    totals = watch.totals()
    assert totals["matched"] == totals["delivered"] == len(events), totals
    before = "OPEN"
    for event in events:
        connection, told = event["connection"], event["congestion"]
        for name in "laddr", "lport", "raddr", "rport", "pid", "uid", "netns":
            assert connection[name] == pair.told[name], event
        assert int(connection["id"]) == pair.told["id"]
        assert told["from"] == before and told["to"] != before, (event, path(events))
        assert told["snd_cwnd"] >= 1
        assert ("srtt_us" in told) == ("mdev_us" in told)
        before = told["to"]
    assert before in last  # all was acknowledged
    return events


def path(events):
    return [event["congestion"]["to"] for event in events]


def shown(link):
    """What ss has of the one connection: name -> value."""
    words, = link.client.sockets()
    return dict(word.split(":", 1) for word in words if word.count(":") == 1)


@pytest.mark.kernels
def test_recovery(link, pair, watch, stopped):
    """Losses that selective acknowledgments tell of."""
    pair.connect()
    before = shown(link)
    assert "ssthresh" not in before
    link.server.rules("meta length > 200 numgen inc mod 20 == 7 drop")
    pair.transfer(BULK)
    events = finish(stopped, watch, pair)
    kernel = link.client.counters()
    assert len(of(events, "RECOVERY")) == kernel["TCPSackRecovery"] > 0
    assert len(of(events, "LOSS")) == kernel["TCPTimeouts"] == 0
    # Slow start of a new connection has no threshold, until a loss sets one.
    first = path(events).index("RECOVERY")
    assert all("snd_ssthresh" not in event["congestion"] for event in events[:first])
    assert all(event["congestion"]["snd_ssthresh"] >= 2 for event in events[first:])
    assert str(events[-1]["congestion"]["snd_ssthresh"]) == shown(link)["ssthresh"]
    assert all(0 < event["congestion"]["srtt_us"] < 10_000_000 for event in events)


@pytest.mark.kernels
def test_loss(link, pair, watch, stopped):
    """Nothing comes through until the timer has expired, twice: one change, and one back."""
    link.short_timeouts()
    link.client.set("tcp_slow_start_after_idle", 0)  # the window stays as it is
    pair.connect()
    pair.transfer(100_000)
    link.server.rules("drop")
    before = shown(link)
    pair.client.send(fd=pair.told["fd"], count=5000)
    wait_until(lambda: link.client.counters()["TCPTimeouts"] >= 2, "two expiries")
    link.server.rules()
    pair.server.receive(fd=pair.accepted["fd"], count=5000)
    link.client.wait_acknowledged()
    events = finish(stopped, watch, pair)
    assert path(events) == ["LOSS", "OPEN"]
    lost = events[0]["congestion"]
    # Nothing is in flight any more; the threshold is half of what the window was (RFC 5681).
    assert lost["snd_cwnd"] == 1
    assert lost["snd_ssthresh"] == max(int(before["cwnd"]) // 2, 2)
    # Nothing was acknowledged in between, so ss had the same round trip time, in milliseconds.
    rtt, deviation = (round(float(word) * 1000) for word in before["rtt"].split("/"))
    assert (lost["srtt_us"], lost["mdev_us"]) == (rtt, deviation)


@pytest.mark.kernels
def test_explicit_notification(link, pair, watch, stopped):
    """Marked segments: the window is reduced without a loss (RFC 3168)."""
    for side in link.sides:
        side.set("tcp_ecn", 1)
    pair.connect()
    link.server.rules("meta length > 200 ip ecn != not-ect numgen inc mod 20 == 3 ip ecn set ce")
    pair.transfer(BULK // 3)
    # It lasts until what was sent since is acknowledged, and that may be nothing.
    events = finish(stopped, watch, pair, ("OPEN", "CWR"))
    assert "CWR" in path(events) and "LOSS" not in path(events)
    assert link.client.counters()["RetransSegs"] == 0
    for told in of(events, "CWR"):
        assert told["snd_ssthresh"] >= 2


@pytest.mark.kernels
def test_syn_lost(link, pair_of, watch, stopped):
    """The timer of a SYN is one too; before the first answer there is no round trip time."""
    link.server.rules(f"{SYN} {ONCE} drop")
    events = finish(stopped, watch, pair_of.connect())
    assert path(events) == ["LOSS", "OPEN"]
    assert "srtt_us" not in events[0]["congestion"]


def test_others_see_nothing(link, pair, netwatch, watch, stopped):
    stranger = netwatch(*CONGESTION, uid=BOB).wait_subscribed()
    other_port = netwatch(*CONGESTION, "--not", "--dport", pair.port, *link.netns(), uid=ALICE)
    other_port.wait_subscribed()
    pair.connect()
    link.server.rules(f"meta length 777 {ONCE} drop")
    pair.transfer(1000, 777 - 52, *[1000] * 5)
    assert finish(stopped, watch, pair)
    assert stranger.stopped_events() == [] and other_port.stopped_events() == []


@pytest.mark.kernels
def test_attached_while_wanted(collector, netwatch):
    """Its program, with its twin, only while somebody wants its events."""
    wait_until(lambda: not collector.links(), "nobody else is there")
    conn = netwatch(*harness.CONN, "-v", "-d", 1).wait_subscribed()
    without = len(collector.links())
    watch = netwatch(*CONGESTION, "-d", 1).wait_subscribed()
    assert len(collector.links()) == without + 2
    watch.stop()
    wait_until(lambda: len(collector.links()) == without, "they are gone")
    conn.stop()
    hooks = {entry.name: list(entry.hook) for entry in wire.status(collector.socket).category}
    assert hooks["congestion"] == ["tp_btf/tcp_cong_state_set"]
