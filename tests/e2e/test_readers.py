# SPDX-License-Identifier: GPL-2.0-only
"""Eight stopped and eight live readers under load. The live ones lose nothing, the stopped
ones cost no more than their queues, and each gap is told once with the exact count."""

import os
import signal

import pytest

from harness import ALICE, SANITIZED, wait_until

READERS = 8  # of each kind: half of them share a filter, half have their own
QUEUE_KB, BLOCK_KB, SLACK_KB = 256, 64, 1024
BURST_EVENTS = 240  # of 40 connects by two actors each: some 20 KB
BURSTS = 36  # more than a queue and a socket hold
EVENTS = BURSTS * BURST_EVENTS


def memory_kb(collector):
    """What it touches, and what it asked for: freed and used again, that will be touched too."""
    return [int(collector.status(key).split()[0]) for key in ("VmRSS", "VmData")]


@pytest.fixture
def collector(start_collector):
    return start_collector("--queue", f"{QUEUE_KB}K")


@pytest.fixture
def load(actor):
    """(port, function that makes a burst of connects)."""
    server = actor()
    port = server.server()
    server.drop_served()
    clients = [actor(), actor()]

    def burst():
        for client in clients:
            client.tell("connects", count=BURST_EVENTS // 6, address="127.0.0.1", port=port)
        for client in clients:
            client.answer()

    return port, burst


def start_readers(subscribe, port):
    """Half with one filter, half with one each."""
    filters = [[]] * (READERS // 2) + [["--not", "--sport", n + 1] for n in range(READERS // 2)]
    return [
        subscribe("-a", "--no-existing", "--stats", "--dport", port, *more, uid=uid)
        for more, uid in zip(filters, [ALICE, 0] * READERS)
    ]


def split(reader):
    """Its events, the losses, and the place of the first loss among its lines."""
    events = reader.events()
    lost = [event["lost"] for event in events if "lost" in event]
    place = next((n for n, event in enumerate(events) if "lost" in event), None)
    return [event for event in events if "conn" in event], lost, place


def check_live(reader):
    assert reader.stop() == 0, reader
    events, lost, _ = split(reader)
    totals = reader.totals()
    assert not lost and len(events) == totals["matched"] == totals["delivered"] == EVENTS, totals
    stages = {(event["connection"]["id"], event["conn"]["event"]) for event in events}
    assert len(stages) == EVENTS


def check_stopped(reader):
    """One gap, behind what was queued, and after it the events of the last burst."""
    assert reader.stop() == 0, reader
    events, lost, place = split(reader)
    totals = reader.totals()
    (gap,) = lost
    assert gap["cause"] == "SUBSCRIBER_QUEUE"
    assert gap["count"] == totals["lost_queue"] > 0
    assert totals["lost_kernel"] == 0
    assert totals["matched"] == EVENTS == totals["delivered"] + totals["lost_queue"], totals
    assert len(events) == totals["delivered"]
    assert events[place - 1]["time"] <= gap["first"] <= gap["last"] <= events[place]["time"]
    assert len(events) - place == BURST_EVENTS, "what came after the gap"


@pytest.mark.parametrize("at_once", [False, True], ids=["in drops", "in pieces of 20 KB"])
def test_stopped_and_live_readers(collector, subscribe, load, at_once):
    port, burst = load
    live, stopped = start_readers(subscribe, port), start_readers(subscribe, port)
    before = memory_kb(collector)
    for reader in stopped:
        os.kill(reader.pid, signal.SIGSTOP)
    highest = before
    for n in range(BURSTS - 1):
        if at_once:
            collector.pause()
        burst()
        collector.resume()
        done = BURST_EVENTS * (n + 1)
        for reader in live:
            wait_until(lambda: len(reader.out.lines) >= done, f"{done} events at {reader}")
        highest = list(map(max, highest, memory_kb(collector)))
    allowed = READERS * (QUEUE_KB + BLOCK_KB) + SLACK_KB
    assert SANITIZED or all(high <= low + allowed for high, low in zip(highest, before)), (before, highest)

    for reader in stopped:
        os.kill(reader.pid, signal.SIGCONT)
    for reader in stopped:
        wait_until(lambda: any(b'"lost"' in line for line in list(reader.out.lines)), "the gap")
    burst()
    for reader in stopped:
        wait_until(lambda: len(split(reader)[0]) + split(reader)[1][0]["count"] >= EVENTS, "all")
    for reader in live:
        check_live(reader)
    for reader in stopped:
        check_stopped(reader)
