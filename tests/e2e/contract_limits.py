# SPDX-License-Identifier: GPL-2.0-only
"""Section 6 of doc/interface.md: each limit at its value and beyond, each error code; and
each exit code of section 4."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import contract
import netwatch_pb2 as pb
import wire
from contract_world import FakeCollector, tries
from harness import ALICE, CONN, wait_until

LIMITS, ERRORS, EXITS = {}, {}, {}  # row of the contract -> function that tries it


def subscription(**criteria):
    return pb.Request(
        subscribe=pb.Subscribe(category=["conn"], filter=pb.Filter(**criteria))
    )


def answer(path, request, **options):
    """The collector's word on a request; an error is the last one."""
    with wire.Connection(path, **options) as connection:
        connection.send(request)
        reply = connection.reply()
        if reply.HasField("error"):
            assert reply.error.message
            connection.expect_closed()
        return reply


def code(path, request, **options):
    return pb.Error.Code.Name(answer(path, request, **options).error.code)


def hello_of_size(size):
    """A hello whose message has so many bytes."""
    request = wire.hello()
    request.hello.program = "n" * (size - 20)
    request.hello.program += "n" * (size - request.ByteSize())
    assert request.ByteSize() == size
    return request


# ------------------------------------------------------------------- limits


@tries(LIMITS, "client frame; a zero length")
def frame_size(world, value, breach):
    limit, = contract.numbers(value)
    assert answer(world.plain.socket, hello_of_size(limit), greet=False).HasField("hello")
    assert "FRAME" in breach
    assert code(world.plain.socket, hello_of_size(limit + 1), greet=False) == "FRAME"
    assert code(world.plain.socket, b"", greet=False) == "FRAME"


@tries(LIMITS, "hello; completing a frame")
def deadlines(world, value, breach):
    limit, = contract.numbers(value)
    assert breach == "close"
    ended = world.deadlines.seconds()
    assert set(ended) == {"hello", "frame"}
    assert all(limit - 0.5 < seconds < limit + 20 for seconds in ended.values()), ended


@tries(LIMITS, "ports or ranges, CIDRs in one filter; string")
def filter_sizes(world, value, breach):
    ports, prefixes, string = contract.numbers(value)
    assert "LIMIT" in breach
    for limit, make, name in [
        (ports, lambda n: {"rport": wire.ports(*range(1, n + 1))}, "port"),
        (prefixes, lambda n: {"addr": wire.prefixes(*(f"10.0.{i}.0/24" for i in range(n)))},
         "addr"),
        (string, lambda n: {"comm": pb.StringSet(any=["x" * n])}, "comm"),
    ]:
        reply = answer(world.plain.socket, subscription(**make(limit)))
        assert reply.HasField("subscribed"), (name, reply)
        reply = answer(world.plain.socket, subscription(**make(limit + 1)))
        assert reply.error.code == pb.Error.LIMIT and name in reply.error.message, reply


def crowd(stack, path, count, uid):
    return [stack.enter_context(wire.Connection(path, uid=uid)) for _ in range(count)]


def expect_busy(path, uid):
    with wire.Connection(path, greet=False, uid=uid) as late:
        with contextlib.suppress(OSError):
            late.send(wire.hello())
        assert late.expect("error").code == pb.Error.BUSY
        late.expect_closed()


@tries(LIMITS, "connections per uid, in all")
def connections(world, value, breach):
    of_uid, in_all = contract.numbers(value)
    assert "BUSY" in breach and "root exempt" in value
    with contextlib.ExitStack() as stack:
        path = world.start_collector().socket
        crowd(stack, path, of_uid, ALICE)
        expect_busy(path, ALICE)
        crowd(stack, path, in_all - of_uid, 0)
        expect_busy(path, 0)


@tries(LIMITS, "distinct filters at once, per uid")
def distinct_filters(world, value, breach):
    in_all, of_uid = contract.numbers(value)
    assert "LIMIT" in breach and "root exempt" in value
    with contextlib.ExitStack() as stack:
        path = world.start_collector().socket
        for count, uid in (of_uid, ALICE), (in_all - of_uid, 0):
            peers = crowd(stack, path, count + 1, uid)
            for index, peer in enumerate(peers[:-1]):
                peer.send(subscription(rport=wire.ports(1 + index)))
            for peer in peers[:-1]:
                peer.expect("subscribed")
            peers[-1].send(subscription(rport=wire.ports(1 + count)))
            error = peers[-1].expect("error")
            assert error.code == pb.Error.LIMIT and error.message, error


@tries(LIMITS, "queue per client")
def queue(world, value, _):
    """The newest go, their number is told at the gap, and the account adds up."""
    assert "newest dropped" in value and "`lost`" in value
    with wire.Connection(world.special.socket) as watch:
        port = world.client.refused_port()
        watch.subscribe(closed=False, rport=wire.ports(port))
        world.fail(port, 6000)
        events, totals = watch.unsubscribe()
    lost = [event.lost for event in events if event.HasField("lost")]
    gap = [index for index, event in enumerate(events) if event.HasField("lost")]
    assert sum(entry.count for entry in lost) == totals.lost_queue + totals.lost_kernel > 0
    assert totals.delivered == len(events) - len(lost) and gap[0] > 0
    assert totals.matched == 12000 == totals.delivered + totals.lost_queue + totals.lost_kernel


@tries(LIMITS, "nothing read for 60 s with a full queue")
def slow_reader(_world, _value, breach):
    """It takes a minute, so a unit test has it."""
    tried = Path(__file__).parents[1] / "unit" / "test_subscription.c"
    assert "SLOW_READER" in breach and "SLOW_READER" in tried.read_text()


# -------------------------------------------------------------- error codes


@tries(ERRORS, "VERSION")
def version(world):
    return code(world.plain.socket, wire.hello(major=2), greet=False)


@tries(ERRORS, "PERMISSION")
def permission(world):
    return code(world.plain.socket, subscription(uid=wire.numbers(0)), uid=ALICE)


@tries(ERRORS, "LIMIT")
def limit_(world):
    return code(world.plain.socket, subscription(port=wire.ports(*range(1, 66))))


@tries(ERRORS, "BUSY")
def busy(world):
    with contextlib.ExitStack() as stack:
        crowd(stack, world.plain.socket, 32, ALICE)
        expect_busy(world.plain.socket, ALICE)
    return "BUSY"


@tries(ERRORS, "FRAME")
def frame(world):
    return code(world.plain.socket, b"\xff\xff\xff")


@tries(ERRORS, "INVALID")
def invalid(world):
    return code(world.plain.socket, subscription(rport=wire.ports(0)))


@tries(ERRORS, "UNAVAILABLE")
def unavailable(world):
    """A collector that has to do without walks over open files."""
    collector = world.start_collector(environment={"NETWATCH_HIDE_HOOKS": "iter/task_file"})
    collector.allow("iter/task_file")
    return code(collector.socket, pb.Request(list=pb.List()))


# What the client makes of each.
EXIT_OF_ERROR = {
    "VERSION": 76, "PERMISSION": 77, "LIMIT": 1, "BUSY": 1, "FRAME": 1, "INVALID": 1,
    "UNAVAILABLE": 78,
}


def exit_of_error(world, name):
    """The client's exit code when the collector says this error; it prints the sentence."""
    hello = pb.Reply(hello=pb.Hello(major=1, category=["conn"], scope=pb.ALL))
    error = pb.Reply(error=pb.Error(code=pb.Error.Code.Value(name), message="the thing's name"))
    fake = FakeCollector(world.place, hello, error)
    done = world.run(*CONN, socket=fake.socket)
    assert "the thing's name" in done.stderr, done
    return done.returncode


# --------------------------------------------------------------- exit codes


@tries(EXITS, 0)
def as_asked(world):
    watch = world.start("subscribe", "-v", "--port", world.port).wait_subscribed()
    assert watch.stop(signal.SIGINT) == 0, watch
    for ends in ["--count", 1], ["--duration", "50ms"]:
        assert world.run("subscribe", "--port", world.port, *ends).returncode == 0
    return 0


@tries(EXITS, 1)
def error_(world):
    return world.run("list", "-d", ",".join(map(str, range(1, 66)))).returncode


@tries(EXITS, 2)
def usage(world):
    assert world.run_collector("--nonsense").returncode == 2
    return world.run("list", "--nonsense").returncode


@tries(EXITS, 3)
def no_collector(world):
    assert world.run_collector("--socket", world.plain.socket).returncode == 3
    return world.run("list", socket=world.place.new_path("nobody")).returncode


@tries(EXITS, 4)
def disconnected(world):
    """Killed, or stopped: nobody asked for that."""
    codes = set()
    for number in signal.SIGKILL, signal.SIGTERM:
        collector = world.start_collector()
        watch = world.start("subscribe", "-v", "-d", 1, socket=collector.socket)
        watch.wait_subscribed()
        os.kill(collector.pid, number)
        codes.add(watch.wait())
        collector.process.wait()
    code, = codes
    return code


@tries(EXITS, 5)
def no_output(world):
    with open("/dev/full", "wb") as full:
        return world.run("list", "--port", world.port, stdout=full).returncode


@tries(EXITS, 6)
def lossy(world):
    codes = []
    for options in [], ["--fail-on-loss"]:
        port = world.client.refused_port()
        watch = world.start(
            *CONN, "-v", "-d", port, "-o", "json", *options,
            socket=world.special.socket,
        ).wait_subscribed()
        os.kill(watch.pid, signal.SIGSTOP)
        world.fail(port, 6000)
        os.kill(watch.pid, signal.SIGCONT)
        wait_until(lambda: any(b'"lost"' in line for line in list(watch.out.lines)), "a loss")
        codes.append(watch.stop())
    assert codes[0] == 0
    return codes[1]


@tries(EXITS, 76)
def other_version(world):
    hello = pb.Reply(hello=pb.Hello(major=2, category=["conn"]))
    return world.run("list", socket=FakeCollector(world.place, hello).socket).returncode


@tries(EXITS, 77)
def not_permitted(world):
    done = subprocess.run(
        [world.place.collector, "--socket", "/nowhere/sock"], user=ALICE, group=ALICE,
        extra_groups=[], capture_output=True, check=False, env=world.place.environment,
    )
    assert done.returncode == 77, done
    return world.run("list", "--uid", 0, uid=ALICE).returncode


@tries(EXITS, 78)
def cannot(world):
    assert world.run_collector("--user", "nw-no-such-user").returncode == 78
    return world.run("list", "--all").returncode
