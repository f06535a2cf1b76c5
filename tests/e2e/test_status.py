# SPDX-License-Identifier: GPL-2.0-only
"""What the collector says of itself: the run time of its BPF programs where the kernel measures it,
held against what the kernel tells of their descriptors; how subscriptions ended; what was missed."""

import contextlib
import ctypes
import os
import re
import struct
from pathlib import Path

import pytest

import netwatch_pb2 as pb
import wire
from harness import ALICE, scaled, wait_until
from talk import Talk, get, head, ok

SYS_BPF, BPF_ENABLE_STATS = 321, 32  # of x86-64; struct bpf_attr.enable_stats, of run time
libc = ctypes.CDLL(None, use_errno=True)

pytestmark = pytest.mark.own_collector


@contextlib.contextmanager
def measuring():
    """The kernel measures the run time of all BPF programs meanwhile."""
    attr = ctypes.create_string_buffer(struct.pack("I", 0), 128)
    fd = libc.syscall(SYS_BPF, BPF_ENABLE_STATS, attr, len(attr))
    if fd < 0:
        pytest.skip(f"NOT TRIED: BPF_ENABLE_STATS: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.close(fd)


def told_by_kernel(collector):
    """{prog_id: (runs, run_ns, missed)} of the programs that it holds."""
    found = {}
    for path in Path(f"/proc/{collector.pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            fields = dict(re.findall(r"^(\w+):\s*(\d+)$", path.read_text(), re.M))
            if "run_cnt" in fields:
                names = "run_cnt", "run_time_ns", "recursion_misses"
                found[fields["prog_id"]] = tuple(int(fields[name]) for name in names)
    assert found
    return sorted(counts for counts in found.values() if counts[0] or counts[2])


def told_by_status(collector):
    """The same; what was not measured is absent, not 0."""
    programs = wire.status(collector.socket).program
    assert all(one.HasField("runs") == one.HasField("run_ns") == bool(one.runs) for one in programs)
    return sorted((one.runs, one.run_ns, one.missed) for one in programs)


def run(collector, client, port, count):
    """Traffic that somebody watches; all programs rest afterwards."""
    with wire.Connection(collector.socket) as watch:
        watch.subscribe(rport=wire.ports(port))
        client.connects(count=count, address="127.0.0.1", port=port)
        assert len(watch.events(3 * count)) == 3 * count
        watch.unsubscribe()
    wait_until(lambda: not collector.links(), "nothing is attached")


def test_run_time(collector, actor, netwatch):
    """Of all programs, as the kernel tells it elsewhere; and it is nobody here who switches it on:
    before it is, there is none, unless somebody else of this host measures."""
    server, client = actor(), actor()
    port, count = server.server(), scaled(200)
    server.drop_served()
    run(collector, client, port, count)
    assert told_by_status(collector) == told_by_kernel(collector)
    before = {one.name: one for one in wire.status(collector.socket).program}
    with measuring():
        run(collector, client, port, count)
        told = told_by_status(collector)
        assert told == told_by_kernel(collector)
    state = next(one for one in wire.status(collector.socket).program if one.name == "nw_state")
    runs = state.runs - before["nw_state"].runs if "nw_state" in before else state.runs
    assert runs >= 5 * count  # changes of state of both ends of a connection
    assert 10 * runs < state.run_ns < 10**6 * state.runs
    shown = netwatch("status", uid=ALICE)
    assert shown.wait() == 0
    total = sum(counts[0] for counts in told)
    assert f" s in {total} runs of BPF programs\n" in shown.out.text()
    shown = netwatch("status", "-o", "json")
    assert shown.wait() == 0
    program = {one["name"]: one for one in shown.events()[0]["program"]}
    assert program["nw_state"]["runs"] == state.runs


def ended(collector, **options):
    status = wire.ask(collector.socket, "status", pb.Request(status=pb.StatusRequest()), **options)
    return status.ended if status.HasField("ended") else None


def test_how_subscriptions_ended(collector):
    """By everybody's, so only who sees all is told. Slow readers: test_subscription.c."""
    assert ended(collector, uid=ALICE) is None
    counts = ended(collector)
    assert (counts.done, counts.broken, counts.slow_reader) == (0, 0, 0)
    with wire.Connection(collector.socket, uid=ALICE) as watch:
        watch.subscribe()
        watch.unsubscribe()
    for number in range(2):
        with wire.Connection(collector.socket) as watch:
            watch.subscribe()
            if number:
                watch.socket.sendall(b"\0")  # a frame of no length
                assert watch.until("error")[1].code == pb.Error.FRAME
    with wire.Connection(collector.socket):
        pass  # it was no subscription
    wire.status(collector.socket)
    wait_until(lambda: ended(collector).broken == 2, "two broke off")
    assert ended(collector).done == 1 and ended(collector).slow_reader == 0


def test_missed_http(collector, actor):
    """A request behind the long body of another one, in one segment, is not seen at either end:
    one that is not told, and a response without its request. They stay counted when nothing of
    HTTP is known any more."""
    talk = Talk(actor)
    for missed in 4, 8:
        with wire.Connection(collector.socket) as watch:
            watch.subscribe(category=["http"], port=wire.ports(talk.port))
            talk.open()
            talk.ask(head("POST /a HTTP/1.1", Content_Length=20000) + "x" * 20000 + get("/b"))
            talk.answer(ok())
            talk.answer(ok())
            events = watch.events(6)
            assert sum(not event.http.HasField("method") for event in events) == 2
            watch.unsubscribe()
        wait_until(lambda: not collector.links(), "nothing is attached")
        assert wire.status(collector.socket).http_missed == missed
