# SPDX-License-Identifier: GPL-2.0-only
"""Layer times of packets (-t), held against the clock of the programs that send and read."""

import socket
import subprocess
import time

import pytest

import netns
from harness import V4, V6, in_time, scaled
from layers import MS, UNREAD_S, connected, data, expected_stages, firsts, since, stages, told
from layers import usable
from packets import packets, pair  # noqa: F401, fixtures


@pytest.mark.kernels
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", *[ends[1] for ends in (V4, V6)]])
def test_stages(request, collector, packets, connected, address):
    """All that this kernel can tell is told, and is no longer than what the application saw:
    from before send to after it, and to after the read."""
    apart = address in (V4[1], V6[1])
    near, far = request.getfixturevalue("pair") if apart else (None, None)
    hooks = usable(collector)
    both = connected(address, near, far)
    watch = packets("-t", "--port", both.port)
    both.open()
    moments = []
    for _ in range(scaled(50)):
        sent = both.client.timed_send(fd=both.near, count=100)
        read = both.server.timed_receive(fd=both.far, count=100)
        moments.append((sent, read))
    both.close()
    events = told(watch)
    family = 6 if ":" in address else 4
    for direction in "TX", "RX":
        segments = firsts(data(events, direction, both.port))
        assert len(segments) == len(moments)
        for event, (sent, read) in zip(segments, moments):
            known = stages(event)
            begin, end = sent[0], sent[1] if direction == "TX" else read[1]
            names = expected_stages(hooks, direction, family, not apart)
            if end - begin > 1e9 * UNREAD_S and "app_ns" not in known:
                names.remove("app_ns")
            assert list(known) == names, event
            assert 0 < sum(known.values()) <= end - begin, event
    for event in events:
        if not event["packet"]["length"]:
            assert not {"app_ns", "tcp_ns"} & set(stages(event)), event


def test_slow_reader(packets, connected):
    """What waits for the reader is app_ns, and nothing else is."""
    both = connected()
    watch = packets("-t", "--lport", both.port)
    both.open()

    def read_late():
        sent, _ = both.client.timed_send(fd=both.near, count=100)
        both.wait_arrived(100)
        arrived = time.monotonic_ns()
        time.sleep(0.05)
        return sent, arrived, *both.server.timed_receive(fd=both.far, count=100)

    sent, arrived, begin, end = in_time(read_late, UNREAD_S)
    both.close()
    known = stages(firsts(data(told(watch), "RX", both.port))[-1])
    assert 50 * MS <= begin - arrived <= known.pop("app_ns") <= end - sent
    assert sum(known.values()) <= arrived - sent


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", V4[1]])
def test_held_back(request, collector, packets, connected, address):
    """What TCP holds back is tcp_ns, where this kernel can tell it from ip_ns, and nothing else."""
    apart = address == V4[1]
    near, far = request.getfixturevalue("pair") if apart else (None, None)
    both = connected(address, near, far)
    watch = packets("-t", "--rport", both.port)
    both.open()
    both.client.option(fd=both.near, level=socket.IPPROTO_TCP, name=socket.TCP_CORK, value=1)
    sent, held = both.client.timed_send(fd=both.near, count=100)
    time.sleep(0.05)
    released = time.monotonic_ns()
    both.client.option(fd=both.near, level=socket.IPPROTO_TCP, name=socket.TCP_CORK, value=0)
    _, end = both.server.timed_receive(fd=both.far, count=100)
    both.close()
    event = firsts(data(told(watch), "TX", both.port))[0]
    known = stages(event)
    family = 6 if ":" in address else 4
    names = expected_stages(usable(collector), "TX", family, not apart)
    assert list(known) == names, event
    assert 50 * MS <= released - held <= known.pop(names[0]) <= end - sent
    assert sum(known.values()) <= end - released


def test_parts(packets, connected):
    """A segment is read when its last byte is, and told once."""
    both = connected()
    watch = packets("-t", "--lport", both.port)
    both.open()

    def read_in_parts():
        both.client.send(fd=both.near, count=1000)
        both.server.receive(fd=both.far, count=999)
        time.sleep(0.05)
        both.server.receive(fd=both.far, count=1)

    in_time(read_in_parts, UNREAD_S)
    both.close()
    event = firsts(data(told(watch), "RX", both.port))[-1]
    assert event["packet"]["length"] == 1000
    assert 50 * MS <= stages(event)["app_ns"] < 1000 * MS


@pytest.mark.kernels
def test_coalesced(packets, connected):
    """Segments that arrive while nobody reads become few reads: each is told once, with a time of
    its own, unless it waited for a second."""
    count, size = max(8, scaled(40)), 700
    both = connected()
    watch = packets("-t", "--lport", both.port)
    both.open()
    sent = time.monotonic()
    both.client.sends_each(fd=both.near, count=count, size=size)
    both.wait_arrived(count * size)
    begin, end = both.server.timed_receive(fd=both.far, count=count * size)
    waited = time.monotonic() - sent
    both.close()
    segments = firsts(data(told(watch), "RX", both.port))
    assert sum(event["packet"]["length"] for event in segments) == count * size
    assert len(segments) == count
    timed = [one for one in segments if "app_ns" in stages(one)]
    assert waited > UNREAD_S or timed == segments
    read = [since(one, segments[0]) + sum(stages(one)[name] for name in stages(one)
                                          if name not in ("mac_ns", "ip_ns")) for one in timed]
    assert not timed or max(read) - min(read) <= end - begin
    assert all(stages(one)["app_ns"] > 0 for one in timed)


def delay(namespace):
    """At least 100 ms in the queueing discipline of the pair."""

    def tc(*words):
        command = ["tc", "-n", namespace, "qdisc", "replace", "dev", "pair", "root", *words]
        return subprocess.run(command, capture_output=True).returncode

    if tc("netem", "delay", "100ms"):
        # Without netem: one buffer uses up what may be sent at once, the next one waits.
        assert not tc("tbf", "rate", "100kbit", "burst", "1600", "limit", "100000")


@pytest.mark.kernels
def test_queueing_discipline(pair, packets, connected):
    """What is delayed there is qdisc_ns, and nothing else is. (More than a few segments are held
    back by TCP meanwhile.)"""
    here, there = pair
    both = connected(V4[1], here, there)
    watch = packets("-t", "--port", both.port)
    both.open()
    delay(here)
    begin = time.monotonic_ns()
    both.client.sends_each(fd=both.near, count=2, size=1400)
    both.server.receive(fd=both.far, count=2 * 1400)
    spent = time.monotonic_ns() - begin
    both.close()
    events = told(watch)
    sent, received = (firsts(data(events, direction, both.port)) for direction in ("TX", "RX"))
    known = stages(sent[-1])
    assert 99 * MS <= known.pop("qdisc_ns") <= spent, sent
    assert sum(known.values()) <= spent - 99 * MS, sent
    assert sum(stages(received[-1]).values()) <= spent - 99 * MS, received


def drop_once(namespace, length):
    """The first IPv4 packet of that length."""
    rules = f"""table ip t {{ chain c {{ type filter hook input priority 0;
        meta length {length} numgen inc mod 1000000 == 0 drop; }}; }}"""
    netns.run(namespace, "nft", rules)


@pytest.mark.kernels
def test_lost_segment(pair, packets, connected):
    """What came early is in the queue when what was missing has come. What is sent again was
    given by the application long ago."""
    here, there = pair
    both = connected(V4[1], here, there)
    watch = packets("-t", "--port", both.port)
    both.open()
    drop_once(there, 20 + 20 + 12 + 777)
    for size in 100, 777, 300, 200:
        both.client.sends_each(fd=both.near, count=1, size=size)
    both.server.receive(fd=both.far, count=1377)
    both.close()
    events = told(watch)
    sent, received = (data(events, direction, both.port) for direction in ("TX", "RX"))
    lost = next(one["packet"]["seq"] for one in sent if one["packet"]["length"] == 777)
    received = firsts(received)
    assert len(received) == 4, received
    again = next(one for one in received if one["packet"]["seq"] == lost)
    early = [one for one in received if one["packet"]["seq"] > lost and since(again, one) > 0]
    assert early
    for one in early:
        if "tcp_ns" in stages(one):
            assert stages(one)["tcp_ns"] >= since(again, one)
    first, *copies = [one for one in sent if one["packet"]["seq"] == lost]
    assert copies and "ip_ns" in stages(first)
    of_send = "tcp_ns" if "tcp_ns" in stages(first) else "ip_ns"  # that begins with it
    assert all(of_send not in stages(one) for one in copies)
