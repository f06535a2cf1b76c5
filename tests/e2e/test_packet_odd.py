# SPDX-License-Identifier: GPL-2.0-only
"""Connections out of the ordinary: beyond 4 GiB, Fast Open, MPTCP, several listeners on a port,
and every category at once in a ring that is too small."""

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest

from harness import free_port, sum_lost, wait_until
from packets import packets  # noqa: F401, a fixture

HUGE = (1 << 32) + (1 << 28)  # sequence numbers come round
PIECE = bytes(1 << 20)
IPPROTO_MPTCP = 262
MSG_FASTOPEN = 0x20000000
CONNECTIONS = 20
ALL = "conn,packet,retransmit,error,tcpinfo,congestion"


def listener(protocol=0, **options):
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    for name in options.get("options", ()):
        one.setsockopt(*name)
    one.bind(("127.0.0.1", options.get("port") or free_port()))
    one.listen(64)
    return one


def send_all(address, count):
    with socket.create_connection(address) as one:
        for _ in range(count // len(PIECE)):
            one.sendall(PIECE)


def receive_all(one):
    """How many bytes came."""
    room, total = bytearray(1 << 20), 0
    with one:
        while n := one.recv_into(room):
            total += n
    return total


def new_bytes(sent):
    """Of each packet that was sent those not sent before; sequence numbers come round. What has
    no data may stand behind the FIN, which has a number too."""
    end = sent[0]["seq"] + 1
    for packet in sent[1:]:
        if packet["length"] == 0:
            continue
        ahead = (packet["seq"] + packet["length"] - end) % (1 << 32)
        if 0 < ahead < 1 << 31:
            end += ahead
            yield ahead


def closed(events, port):
    """{role: its CLOSE}"""
    return {e["connection"].get("role"): e["conn"] for e in events
            if e.get("conn", {}).get("event") == "CLOSE"
            and port in (e["connection"]["lport"], e["connection"].get("rport"))}


def test_beyond_4_gib(netwatch, collector):
    """Totals are not cut to 32 bits, and the bytes of all packets are those of the stream."""
    if "NETWATCH_GUEST" in os.environ:
        pytest.skip("NOT TRIED: more than 4 GiB take minutes on an emulated machine")
    with listener() as server:
        port = server.getsockname()[1]
        watch = netwatch("subscribe", "--events", "conn,packet", "-a", "-v", "-o", "json", "--stats",
                         "--role", "client", "--dport", port, uid=0).wait_subscribed()
        sender = threading.Thread(target=send_all, args=[server.getsockname(), HUGE])
        sender.start()
        assert receive_all(server.accept()[0]) == HUGE
        sender.join()
        wait_until(lambda: '"CLOSE"' in watch.out.text()[-4000:], "it is told that it was closed")
    events, totals = watch.stopped_events(), watch.totals()
    end = closed(events, port)["CLIENT"]
    assert HUGE <= end["bytes_acked"] <= HUGE + 2
    assert totals["matched"] == totals["delivered"] + totals["lost_kernel"] + totals["lost_queue"]
    if totals["lost_kernel"] + totals["lost_queue"] == 0:
        sent = [e["packet"] for e in events if e.get("packet", {}).get("direction") == "TX"]
        assert sum(new_bytes(sent)) == HUGE
    else:
        assert sum_lost(events) == totals["lost_kernel"] + totals["lost_queue"]


@pytest.mark.kernels
def test_fast_open(packets, collector):  # noqa: F811
    """Data in the SYN is seen, and the connection is one."""
    if not int(Path("/proc/sys/net/ipv4/tcp_fastopen").read_text()) & 1:
        pytest.skip("NOT TRIED: Fast Open is switched off for clients of this host")
    with listener(options=[(socket.SOL_TCP, socket.TCP_FASTOPEN, 16)]) as server:
        address = server.getsockname()
        watch = packets("--dport", address[1], "--role", "client", uid=0)
        for _ in range(2):
            with socket.socket() as one:
                one.sendto(b"x" * 100, MSG_FASTOPEN, address)
                with server.accept()[0] as accepted:
                    assert accepted.recv(100, socket.MSG_WAITALL)
        wait_until(lambda: watch.out.text().count('"FIN"') >= 4, "both connections ended")
    events = watch.stopped_events()
    first = {}
    for event in events:
        first.setdefault(event["connection"]["id"], event["packet"])
    assert len(first) == 2
    assert all(packet["flags"] == ["SYN"] for packet in first.values())
    sent = [sum(e["packet"]["length"] for e in events
                if e["connection"]["id"] == one and e["packet"]["direction"] == "TX")
            for one in first]
    assert min(sent) >= 100


@pytest.mark.kernels
def test_mptcp(netwatch, collector):
    """Each subflow is a connection; what is above it is none."""
    try:
        server = listener(IPPROTO_MPTCP)
    except OSError as error:
        pytest.skip(f"NOT TRIED: this kernel has no MPTCP: {error}")
    with server:
        port = server.getsockname()[1]
        watch = netwatch("subscribe", "--events", "conn,packet", "-a", "-v", "-o", "json", "--stats",
                         "--port", port, uid=0).wait_subscribed()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as one:
            one.connect(server.getsockname())
            with server.accept()[0] as accepted:
                one.sendall(b"x" * 1000)
                one.shutdown(socket.SHUT_WR)
                assert receive_all(accepted.dup()) == 1000
        wait_until(lambda: watch.out.text().count('"CLOSE"') >= 2, "the subflow was closed")
    events, totals = watch.stopped_events(), watch.totals()
    assert set(closed(events, port)) >= {"CLIENT", "SERVER"}
    assert totals["matched"] == totals["delivered"] == len(events)
    sent = sum(e["packet"]["length"] for e in events
               if e.get("packet", {}).get("direction") == "TX"
               and e["connection"].get("rport") == port)
    assert sent >= 1000


@pytest.mark.kernels
def test_reuseport(netwatch, collector):
    """Two listeners on one port: each connection is told once on each side."""
    option = (socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(listener(options=[option]))
        port = first.getsockname()[1]
        second = stack.enter_context(listener(options=[option], port=port))
        watch = netwatch("subscribe", "--events", "conn", "-a", "-v", "-o", "json", "--stats",
                         "--port", port, "--no-existing", uid=0).wait_subscribed()
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        for one in first, second:
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    stack.enter_context(one.accept()[0])
        wait_until(lambda: watch.out.text().count('"event":"ESTABLISHED"') >= 2 * CONNECTIONS,
                   "all connections are told")
        events = watch.stopped_events()
    told = [(e["connection"]["role"], e["connection"]["id"]) for e in events
            if e["conn"]["event"] == "ESTABLISHED"]
    assert len(told) == len(set(told)) == 2 * CONNECTIONS


def test_all_categories_add_up(start_collector, netwatch):
    """The equation of --stats, with every category on, under overload."""
    collector = start_collector("--ring", "64K")
    with listener() as server:
        port = server.getsockname()[1]
        watch = netwatch("subscribe", "--events", ALL, "-t", "-a", "-v", "-o", "json", "--stats",
                         "--interval", "100ms", "--no-existing", "--port", port, uid=0,
                         socket=collector.socket).wait_subscribed()
        collector.pause()
        for _ in range(300):
            with socket.create_connection(server.getsockname()) as one:
                with server.accept()[0] as accepted:
                    one.sendall(b"x" * 100)
                    accepted.recv(50)  # the rest makes it a reset
        collector.resume()
        wait_until(lambda: '"KERNEL_RING"' in watch.out.text(), "a loss is told")
    events, totals = watch.stopped_events(), watch.totals()
    parts = ["delivered", "filtered", "lost_kernel", "lost_queue"]
    assert totals["matched"] == sum(totals[part] for part in parts) and totals["lost_kernel"]
    assert totals["delivered"] == sum("lost" not in event for event in events)
    assert sum_lost(events) == totals["lost_kernel"] + totals["lost_queue"]
