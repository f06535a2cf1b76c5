# SPDX-License-Identifier: GPL-2.0-only
"""Packets that find the ring full: each is counted, and they push out nobody else's events."""

from harness import ALICE, CONN, V4, scaled, sum_lost
from packets import PACKET, pair, wait_quiet, witness

FLOOD = 400  # connections of some 20 segments, on both sides: more than a ring of 64K holds
QUIET = 20  # connections whose events fit in the last quarter of such a ring


def test_flood(start_collector, netwatch, pair, witness, actor):
    """A collector that does not get to run, a flood of packets, and then connections."""
    collector = start_collector("--ring", "64K")
    client, server = (actor(namespace=one) for one in pair)
    seen = [witness(one, "pair") for one in pair]
    quiet_client, quiet_server = actor(), actor()
    port, quiet_port = server.server(address=V4[1], answer=10), quiet_server.server()
    server.drop_served(), quiet_server.drop_served()
    flood = netwatch(*PACKET, "--netns", pair[0], "--netns", pair[1], uid=0,
                     socket=collector.socket).wait_subscribed()
    quiet = netwatch(*CONN, "-v", "-o", "json", "-a", "--stats", "--dport", quiet_port, uid=ALICE,
                     socket=collector.socket).wait_subscribed()
    collector.pause()
    client.connects(count=FLOOD, address=V4[1], port=port, payload=10)
    quiet_client.connects(count=QUIET, address="127.0.0.1", port=quiet_port)
    collector.resume()
    quiet.wait_events(3 * QUIET)
    client.connects(count=scaled(30), address=V4[1], port=port, payload=10)
    wait_quiet(client, server)
    check_account(flood, sum(len(one.segments()) for one in seen))
    assert len(quiet.stopped_events()) == 3 * QUIET
    totals = quiet.totals()
    assert (totals["matched"], totals["lost_kernel"]) == (3 * QUIET, 0), totals


def check_account(flood, segments):
    events = flood.stopped_events()
    totals = flood.totals()
    assert totals["matched"] == segments, totals
    parts = ["delivered", "filtered", "lost_kernel", "lost_queue"]
    assert sum(totals[part] for part in parts) == segments, totals
    assert totals["lost_kernel"] > 0 and totals["lost_queue"] == 0, totals
    assert sum_lost(events, "KERNEL_RING") == totals["lost_kernel"]
    assert sum("packet" in event for event in events) == totals["delivered"]
